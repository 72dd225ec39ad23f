"""The findings of `verify` as they are printed: a few of each kind, then remedies."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bikecollect.archive.certificates import Finding
from bikecollect.archive.checks.remedies import MISSING, remedy
from bikecollect.archive.checks.remembered import Range, remember_findings
from bikecollect.archive.datasets import VEHICLE_LAYOUT, of_label
from bikecollect.archive.mirror.record import LIVE
from bikecollect.archive.parts import is_day
from bikecollect.cli.printing import say, say_json
from bikecollect.cli.render.archive import (
    FEW,
    finding_line,
    remedies_text,
    remedy_of_lost,
)
from bikecollect.cli.render.programs.archive_json import finding_json
from bikecollect.core.errors import SettingsError
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import ARCHIVE, SystemFolder
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair import missing_files
from bikecollect.storage.repair.archived_rows import has_rows
from bikecollect.storage.repair.found import found_damage
from bikecollect.storage.repair.lost_days import check_archive_mounted

REPAIR = "verify --repair"
ARCHIVED_DAY = "SELECT csv_gone, parts FROM archives WHERE day = ?"


class PrintedFindings:
    """Prints findings; as text only a few of those with the same remedy.

    *lost* are the files that were not repaired, by system and by day of a dataset.
    """

    def __init__(
        self,
        settings: Settings,
        form: str,
        *,
        mirror: bool,
        lost: Mapping[tuple[str, str], str],
    ) -> None:
        self._lost = lost
        self._of_mirror = mirror
        self._settings = settings
        self._form = form
        self._counts: Counter[str] = Counter()
        self._found: dict[str, list[tuple[Finding, str]]] = {}
        self._of_archives: dict[str, str] = {}
        self._remembered: dict[Path, dict[tuple[str, str], str]] = {}

    @property
    def number(self) -> int:
        """The number of findings."""
        return self._counts.total()

    def add(self, finding: Finding) -> None:
        """Print *finding*, unless a few with its remedy were printed."""
        name, _ = of_label(finding.system_id)
        todo = self._remedy(finding._replace(system_id=name), finding)
        self._counts[todo] += 1
        self._found.setdefault(finding.system_id, []).append((finding, todo))
        if self._form == "json":
            say_json(finding_json(finding, todo))
        elif self._counts[todo] <= FEW:
            say(finding_line(finding))

    def remember(self, system_id: str, days: Range) -> None:
        """Let `status` know what was found on *days* of a system, or its vehicles."""
        name, layout = of_label(system_id)
        system = self._settings.system_folder(name)
        own = system.vehicles if layout is VEHICLE_LAYOUT else system
        remember_findings(own, self._found.get(system_id, ()), days)

    def end(self) -> None:
        """Print the remedies, each with the number of its findings."""
        if self._counts:
            say(remedies_text(self._counts))

    def _remedy(self, named: Finding, finding: Finding) -> str:
        if self._of_mirror:
            live = " --live" if finding.where.startswith(f"{LIVE}/") else ""
            return f"bikecollect push{live} {named.system_id}"
        name, layout = of_label(finding.system_id)
        if name not in self._settings.systems:  # an old certificate of it is compared
            return remedy(named, has_csv=False)
        system = self._settings.system_folder(name)
        if is_day(finding.where) and (todo := self._remedy_of_archive(system)):
            return todo
        is_of_vehicles, dataset = layout is VEHICLE_LAYOUT, layout.rows
        own = system.vehicles if is_of_vehicles else system
        day = finding.where.rpartition("/")[2][:10]
        kept = partial(missing_files.kept_of_day, system, day)
        history = History(name, own.path)
        csv_gone, parts = next(iter(history.select(ARCHIVED_DAY, day)), (0, ""))
        # Files of slots that came after a day's files had been removed are not its CSV.
        has_csv = not csv_gone and any((own.path / dataset).glob(f"{day}*.csv"))
        is_needed = bool(parts) and finding.what.startswith(MISSING)
        archive = self._settings.data / ARCHIVE
        is_archived = is_needed and has_rows(archive, dataset, name, day, parts)
        todo = remedy(
            named,
            has_csv=has_csv,
            is_archived=is_archived,
            lost_day=day if is_needed and not is_archived else "",
            kept=str if is_of_vehicles else kept,
            missing=lambda: missing_files.remedy(own, finding.where, history),
            mirror=system.mirror,
        )
        if REPAIR not in todo:
            return todo
        if file := self._lost.get((name, f"{dataset}/{day}")):
            return remedy_of_lost(name, file, system.mirror)
        return self._remembered_remedy(own.path, finding) or todo

    def _remedy_of_archive(self, system: SystemFolder) -> str:
        """Return what to do about an archive that is missing, empty if it is there."""
        if system.system_id not in self._of_archives:
            self._of_archives[system.system_id] = ""
            try:
                check_archive_mounted(system)
            except SettingsError as error:
                self._of_archives[system.system_id] = str(error)
        return self._of_archives[system.system_id]

    def _remembered_remedy(self, folder: Path, finding: Finding) -> str:
        """Return the remedy that was printed for *finding* before, empty if none was.

        After a repair that failed it is another one than that repair.
        """
        if folder not in self._remembered:
            found = found_damage(folder)
            self._remembered[folder] = {(f.where, f.what): f.remedy for f in found}
        return self._remembered[folder].get((finding.where, finding.what), "")
