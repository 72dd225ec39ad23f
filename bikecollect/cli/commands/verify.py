"""``bikecollect verify``: the proof that files, ledger and checksums agree."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from bikecollect.archive.certificates import Certificate, Finding, compared
from bikecollect.archive.verify import Looked
from bikecollect.cli.options import Shared, say, say_figures, say_json
from bikecollect.cli.output_file import written
from bikecollect.cli.render.archive import (
    certificate,
    certificate_json,
    certificate_line,
    finding_json,
    finding_line,
    verdict,
)
from bikecollect.cli.timeparse import day
from bikecollect.core import process
from bikecollect.core.errors import ExitCode, UsageError
from bikecollect.core.process import Times
from bikecollect.setup.settings import Settings
from bikecollect.wiring import history


@click.command()
@click.argument("system_ids", nargs=-1, metavar="[SYSTEM]...")
@click.option("--since", help="First day that gets a certificate: 2026-11-22, 30d.")
@click.option("--until", help="The day behind the last one.")
@click.option("--deep", is_flag=True, help="Read the rows of archived days back too.")
@click.option(
    "--certificates",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the certificates to this file, to be kept.",
)
@click.option(
    "--against",
    type=click.Path(dir_okay=False, exists=True),
    help="Compare with certificates that were kept.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def verify(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    since: str | None,
    until: str | None,
    deep: bool,
    certificates: Path | None,
    against: str | None,
    form: str,
) -> int:
    """Prove that the files, the ledger and the checksums of each SYSTEM agree.

    Every byte of every CSV, the archive's files, the stations and the kept payloads
    are looked at, and what does not agree is named (exit code 1). Each day gets a
    certificate: its slots, its rows, and the sha256 of its rows as sorted CSV, which
    stays the same when the day moves to the archive. Changes nothing.
    """
    settings = ctx.ensure_object(Shared).settings()
    names = settings.chosen(system_ids)
    found: list[Certificate] = []
    looked: list[Looked] = []
    wrong = 0
    kept = _kept(against) if against else []
    for each in _proofs(settings, names, since, until, deep=deep, looked=looked):
        if isinstance(each, Finding):
            wrong += 1
            _tell(each, form)
        else:
            found.append(each)
            line = certificate_json if form == "json" else None
            say_figures((line or certificate_line)(each))
    for finding in compared(found, kept):
        wrong += 1
        _tell(finding, form)
    if certificates:
        with written(certificates) as out:
            out.writelines(certificate_json(each) for each in found)
    if form == "text":
        say(verdict(looked, wrong))
    return ExitCode.NO if wrong else ExitCode.OK


def _proofs(
    settings: Settings,
    names: Sequence[str],
    since: str | None,
    until: str | None,
    *,
    deep: bool,
    looked: list[Looked],
) -> Iterator[Finding | Certificate]:

    times = Times(time.time, time.monotonic, process.Stop())
    for name in names:
        verifier = history.verifier(settings, name, times, deep=deep)
        there, now = history.zone(settings, name), time.time()
        verifier = replace(
            verifier,
            since=day(since, there, now) if since else "",
            until=day(until, there, now) if until else verifier.until,
        )
        looked.append(verifier.looked)
        yield from verifier.run()


def _tell(finding: Finding, form: str) -> None:
    json = form == "json"
    if json:
        say_json(finding_json(finding))
    else:
        say(finding_line(finding))


def _kept(path: str) -> list[Certificate]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return [certificate(each) for each in lines]
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
