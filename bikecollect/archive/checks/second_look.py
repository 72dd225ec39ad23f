"""A second look at what seems wrong: writers may have changed it during the first."""

from collections.abc import Callable, Collection, Iterator

from bikecollect.archive.certificates import Certificate, Finding

LOOKS = 3
"""How often a disagreement must be found before it is reported."""
Look = Callable[[Collection[str] | None], Iterator[Finding | Certificate]]
"""Verifies the files and days of some names; with None everything."""


def confirmed(look: Look) -> Iterator[Finding | Certificate]:
    """Yield the certificates of *look*, then the findings that stay on repetition.

    A `compact` or `fetch` that works meanwhile replaces files and rows of the ledger.
    """
    findings: list[Finding] = []
    certified: set[str] = set()
    names: Collection[str] | None = None
    for _ in range(LOOKS):
        findings = []
        for result in look(names):
            if isinstance(result, Finding):
                findings.append(result)
            elif result.date not in certified:
                certified.add(result.date)
                yield result
        names = {finding.where for finding in findings}
        if not names:
            return
    yield from findings
