"""``bikecollect verify``: check that files, ledger and checksums agree."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from bikecollect.archive.certificates import Certificate, Finding, compare
from bikecollect.archive.checks.remembered import Range
from bikecollect.archive.datasets import VEHICLE_LAYOUT, of_label
from bikecollect.archive.verify import VerifiedCounts
from bikecollect.cli.completion import systems_argument
from bikecollect.cli.each_system import Attempts
from bikecollect.cli.findings import PrintedFindings
from bikecollect.cli.forms import lines_option
from bikecollect.cli.log_setup import awaited
from bikecollect.cli.options import Shared
from bikecollect.cli.output_file import written
from bikecollect.cli.printing import say, say_figures, say_json
from bikecollect.cli.publishing.dataset_check import (
    DatasetCheck,
    is_dataset,
    systems_or_why,
)
from bikecollect.cli.render.archive import (
    FEW,
    certificate_line,
    dataset_verdict,
    finding_line,
    repair_line,
    verdict,
)
from bikecollect.cli.render.programs.archive_json import (
    certificate,
    certificate_json,
    finding_json,
    repair_json,
)
from bikecollect.cli.timeparse import days
from bikecollect.core import process
from bikecollect.core.errors import ExitCode, UsageError
from bikecollect.core.process import Times
from bikecollect.setup.settings import Settings
from bikecollect.storage import data_folder
from bikecollect.storage.data_folder import LEDGER
from bikecollect.storage.repair.damage import lacks_ledger, lost_data, vehicles_loss_of
from bikecollect.storage.repair.found import note_verified
from bikecollect.storage.sqlite.ledger_file import absence
from bikecollect.wiring import history, repairs
from bikecollect.wiring.mirror import check_mirror


@click.command()
@systems_argument
@click.option("--since", help="First day that gets a certificate: 2026-11-22, 30d.")
@click.option("--until", help="The last day.")
@click.option("--deep", is_flag=True, help="Also read the rows of archived days back.")
@click.option(
    "--certificates",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the certificates to this file.",
)
@click.option(
    "--against",
    type=click.Path(dir_okay=False, exists=True),
    help="Compare with the certificates in this file.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="First repair changed files, if checksums prove the result.",
)
@click.option(
    "--mirror",
    is_flag=True,
    help="Check the copy at `archive.mirror` instead: read every file there.",
)
@lines_option
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
    repair: bool,
    mirror: bool,
    form: str,
) -> int:
    """Check that files, ledger and checksums agree.

    Reads every byte of the CSV files, the archive, the list of stations and the kept
    payloads, and prints each disagreement (exit code 1). Each day gets a certificate:
    its slots, its rows, and the sha256 of its rows as sorted CSV, which stays the same
    when the day moves to the archive. Changes no data without --repair; `status` names
    what was found until it is repaired.

    With the FOLDER of a published dataset instead of a SYSTEM, its checksums, the
    certificate of each day and the rows of each slot are checked; this needs no
    settings.

    The remedies are printed at the end. Of findings with the same remedy only the first
    three are printed; --format json has all.
    """
    if len(system_ids) == 1 and is_dataset(Path(system_ids[0])):
        return _verify_dataset(Path(system_ids[0]), form)
    _refuse_folders(system_ids)
    if mirror and (deep or repair):
        raise UsageError("--mirror cannot be combined with --deep or --repair")
    settings = ctx.ensure_object(Shared).settings()
    names = systems_or_why(settings, system_ids)
    attempts = Attempts(names)
    left = _repair(settings, names, form, attempts) if repair else {}
    printed = PrintedFindings(settings, form, mirror=mirror, lost=left)
    old = _read_certificates(against) if against else []
    old = [c for c in old if _is_asked(settings, c, system_ids and names, since, until)]
    work = _Verification(settings, names, since, until, attempts)
    results = work.of_mirror() if mirror else work.of_systems(deep=deep)
    new = _printed(results, printed, form, width=max(map(len, names)))
    for system_id, verified_days in work.verified.items():
        printed.remember(system_id, verified_days)
    is_all = work.verified.keys() >= settings.systems.keys()
    if is_all and not (since or until or mirror):
        note_verified(settings.data)
    for finding in compare(new, old):
        printed.add(finding)
    if (since or until) and not new and not printed.number:
        raise UsageError(
            "no day in that range has any data; see: bikecollect backfill-report"
        )
    if certificates:
        with written(certificates) as out:
            out.writelines(certificate_json(certificate) for certificate in new)
    if form == "text" and (printed.number or set(names) - attempts.skipped.keys()):
        printed.end()
        say(verdict(work.counts, printed.number, tuple(attempts.skipped)))
    return attempts.code or (ExitCode.NO if printed.number else ExitCode.OK)


def _printed(
    results: Iterator[Finding | Certificate],
    printed: PrintedFindings,
    form: str,
    *,
    width: int,
) -> list[Certificate]:
    """Print *results* as they come, in lines with names of *width*; return the days."""
    certificates = []
    for result in awaited(results, "verifying"):
        if isinstance(result, Finding):
            printed.add(result)
        else:
            certificates.append(result)
            is_json = form == "json"
            line = certificate_line(result, width)
            say_figures(certificate_json(result) if is_json else line)
    return certificates


def _refuse_folders(system_ids: Sequence[str]) -> None:
    """Raise UsageError if a path without a dataset is among *system_ids*."""
    for path in (name for name in system_ids if "/" in name):
        raise UsageError(
            f"{path}: not a published dataset, or not the only one given; a dataset "
            "has datapackage.json and SHA256SUMS"
        )


def _verify_dataset(folder: Path, form: str) -> int:
    """Check the published dataset in *folder*, using only its own files."""
    check = DatasetCheck(folder.absolute())
    findings = 0
    for finding in check.run():
        findings += 1
        if form == "json":
            say_json(finding_json(finding, "get the dataset again from its source"))
        elif findings <= FEW:
            say(finding_line(finding))
    if form == "text":
        say(dataset_verdict(check.files, check.days, check.rows, findings))
    return ExitCode.NO if findings else ExitCode.OK


def _repair(
    settings: Settings, names: Sequence[str], form: str, attempts: Attempts
) -> dict[tuple[str, str], str]:
    """Repair; return the files with lost slots, by system and by day of a dataset."""
    lost = {}
    times = Times(time.time, time.monotonic, process.Stop())
    for name in names:
        with attempts.on(name):
            zone = history.zone(settings, name)
            steps = repairs.repair(settings, name, times)
            for result in awaited(steps, f"{name}: repairing"):
                if form == "json":
                    say_json(repair_json(name, result))
                else:
                    say(repair_line(name, result, zone, settings.archive.mirror))
                if result.damaged:
                    lost[name, result.file[:25]] = result.file
    return lost


@dataclass(frozen=True)
class _Verification:
    """The verification of the systems *names*; days of the range get certificates.

    At its end *counts* has what was verified, and *verified* the days of each system,
    and of its vehicles.
    """

    settings: Settings
    names: Sequence[str]
    since: str | None
    until: str | None
    attempts: Attempts
    counts: list[VerifiedCounts] = field(default_factory=list)
    verified: dict[str, Range] = field(default_factory=dict)

    def of_systems(self, *, deep: bool) -> Iterator[Finding | Certificate]:
        """Verify the files and the ledgers of the systems."""
        times = Times(time.time, time.monotonic, process.Stop())
        for name in self.names:
            with self.attempts.on(name):
                yield from self._of_system(name, times, deep=deep)

    def of_mirror(self) -> Iterator[Finding | Certificate]:
        """Verify the copies of the systems in the mirror."""
        for name in self.names:
            with self.attempts.on(name):
                checked = VerifiedCounts()
                self.counts.append(checked)
                since, until = self._range(name, "9")
                yield from check_mirror(self.settings, name, since, until, checked)

    def _of_system(
        self, name: str, times: Times, *, deep: bool
    ) -> Iterator[Finding | Certificate]:
        settings, folder = self.settings, self.settings.system_folder(name)
        data_folder.check_mounted(settings.data / name)
        if why := lost_data(folder):
            yield Finding(name, data_folder.MARKER, why)
        if loss := vehicles_loss_of(folder):
            yield Finding(name, data_folder.VEHICLES, loss.text)
        if lacks_ledger(folder):
            yield Finding(name, LEDGER, f"is {absence(folder.ledger)}")
            return
        stations = history.verifier(settings, name, times, deep=deep)
        vehicles = history.vehicle_verifier(settings, name, times, deep=deep)
        if lacks_ledger(folder, data_folder.VEHICLES):
            what = f"is {absence(folder.vehicles.ledger)}"
            yield Finding(VEHICLE_LAYOUT.label(name), LEDGER, what)
            vehicles = None
        for verifier in filter(None, (stations, vehicles)):
            self.counts.append(verifier.counts)
            chosen = self._range(name, verifier.until)
            yield from replace(verifier, since=chosen[0], until=chosen[1]).run()
            self.verified[verifier.system.system_id] = chosen

    def _range(self, name: str, latest: str) -> Range:
        """Return the first day and the day after the last one; by default all days.

        *latest* is after all days.
        """
        zone = history.zone(self.settings, name)
        first, end = days(self.since, self.until, zone, time.time())
        return first if self.since else "", end if self.until else latest


def _is_asked(
    settings: Settings,
    old: Certificate,
    names: Sequence[str],
    since: str | None,
    until: str | None,
) -> bool:
    """Return whether *old* is of one of *names*, if there are any, and in the range."""
    name, _ = of_label(old.system_id)
    if names and name not in names:
        return False
    is_known = name in settings.systems
    zone = history.zone(settings, name) if is_known else ZoneInfo("UTC")
    first, end = days(since, until, zone, time.time())
    return (not since or old.date >= first) and (not until or old.date < end)


def _read_certificates(path: str) -> list[Certificate]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return [certificate(line) for line in lines]
    except ValueError as error:
        what = "not a file of certificates (verify --certificates FILE writes one)"
        raise UsageError(f"{path}: {what}: {error}") from error
