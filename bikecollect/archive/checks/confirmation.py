"""Repeat the verification of findings, which a writer may have caused meanwhile."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from bikecollect.archive.certificates import Certificate, Finding
from bikecollect.core.blocks import Block
from bikecollect.storage.csv_store import is_segment

VERIFICATIONS = 3
"""Number of times a disagreement must be found to be reported."""
Verification = Callable[[Collection[str] | None], Iterator[Finding | Certificate]]
"""Verifies the files and days of some names, or everything if that is None."""


def confirmed(verify: Verification) -> Iterator[Finding | Certificate]:
    """Yield the certificates of *verify*, and the findings that recur each time.

    A `compact` or `fetch` that is active meanwhile replaces files and rows of the
    ledger. The order of results is kept; new certificates of repetitions come last.
    """
    certified: set[str] = set()
    results: list[Finding | Certificate] = []
    for result in verify(None):
        if isinstance(result, Certificate):
            certified.add(result.date)
        if results or isinstance(result, Finding):
            results.append(result)
        else:
            yield result
    findings = [result for result in results if isinstance(result, Finding)]
    later: list[Finding | Certificate] = []
    for _ in range(VERIFICATIONS - 1):
        if findings:
            again = list(verify({finding.where for finding in findings}))
            findings = [result for result in again if isinstance(result, Finding)]
            certificates = [r for r in again if isinstance(r, Certificate)]
            later += [c for c in certificates if c.date not in certified]
            certified |= {certificate.date for certificate in certificates}
    yield from (r for r in results if isinstance(r, Certificate) or r in findings)
    yield from (finding for finding in findings if finding not in results)
    yield from later


@dataclass(frozen=True)
class Names:
    """The names of files and days to verify; None for all."""

    names: Collection[str] | None = None

    def __contains__(self, name: object) -> bool:
        return self.names is None or name in self.names

    def suspects(self, blocks: Iterable[Block]) -> list[Block]:
        """Return those of *blocks* that may be why these names have findings."""
        if self.names is None:
            return []
        files = ((block, block.span.file) for block in blocks)
        return [b for b, file in files if file in self or not is_segment(file)]

    def has(self, day: str, blocks: Iterable[Block]) -> bool:
        """Return whether *day*, or a file of its *blocks*, is among them."""
        return day in self or any(b.span.file in self for b in blocks)
