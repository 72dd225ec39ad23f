"""The data service of the app: runs reports through an open connection."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bikecollect.alerts.state import AlertState
from bikecollect.alerts.system_state import SystemAlertState
from bikecollect.app.queries.connection import Held
from bikecollect.app.queries.films.day_film import Film, film
from bikecollect.app.queries.station_names import StationTexts
from bikecollect.archive import datasets
from bikecollect.archive.query.duckdb_engine import translated
from bikecollect.archive.query.open_days import Loss
from bikecollect.core.incidents import Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, Slot, bounds, day_of
from bikecollect.reports import evidence, runner
from bikecollect.reports.coverage import Account
from bikecollect.reports.registry import REPORTS, Values
from bikecollect.reports.runner import Answer
from bikecollect.reports.status import Standing, survey
from bikecollect.setup import program
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import INFORMATION, LEDGER, VEHICLES
from bikecollect.storage.files.losses import EarlierLoss
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair.damage import loss_of
from bikecollect.storage.runs.noted import running_runs
from bikecollect.wiring import history

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CHANGING = (LEDGER, f"{LEDGER}-wal", INFORMATION)
TEXTS = (
    "SELECT station_id, name, region, name_en, region_en, address, address_en"
    " FROM stations WHERE valid_to IS NULL"
)
MARGIN = timedelta(days=2)
"""Reports read the day before theirs, to know whether a feed tells free docks."""
State = tuple[object, ...]
Result = TypeVar("Result")


class DataService:
    """Runs reports about the systems of *settings*, without writing anything.

    It is safe for several threads.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        *,
        is_public: bool = False,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._held = Held(clock)
        self._is_public = is_public
        self._version = 0
        self._since = ""

    def use(self, settings: Settings) -> None:
        """Use *settings* from now on: systems were added, changed or removed."""
        self._held.close()
        self.settings = settings
        self._version += 1

    def needs_only(self, since: date) -> None:
        """Expect questions about days from *since* on only, until the next call.

        Archived rows of earlier days are then not compared with their certificates.
        """
        self._since = (since - MARGIN).isoformat()

    def addressed(self, text: str) -> str:
        """Return *text* with its commands completed for this machine.

        In a public app commands are unchanged, because visitors must not see paths.
        """
        if self._is_public:
            return text
        source = self.settings.source
        command = program.command_line(Path(source) if source else None)
        return program.expand_commands(text, command)

    def state(self, name: str) -> State:
        """Return a value that changes whenever the system *name* has new data."""
        folder = self.settings.data / name
        archived = datasets.STATION_LAYOUT.certificate(
            self.settings.data, name, "x"
        ).parent
        over = int(self.clock()) // self.settings.seconds
        stamps = (_stamp(folder / file) for file in CHANGING)
        again = (self._version, self._held.failures)
        return (over, *stamps, _stamp(archived), *again)

    def days(self, name: str) -> tuple[date, date] | None:
        """Return the first and the newest local day with a run or data, None if none.

        While a feed is down, the newest one has no data, see `newest_day`.
        """
        ends = History(name, self.settings.data / name).ends()
        if ends is None:
            return None
        zone = history.zone(self.settings, name)
        first, last = (date.fromisoformat(day_of(slot, zone)) for slot in ends)
        return first, last

    def newest_day(self, name: str) -> date | None:
        """Return the local day of the newest data, None without data.

        If no stations were ever understood, they are the vehicles beside these.
        """
        folder = self.settings.data / name
        newest = History(name, folder).newest_block()
        newest = newest or History(name, folder / VEHICLES).newest_block()
        if newest is None:
            return None
        zone = history.zone(self.settings, name)
        return date.fromisoformat(day_of(newest, zone))

    def today(self, name: str) -> date:
        """Return the present day in the time zone of the system *name*."""
        zone = history.zone(self.settings, name)
        return date.fromisoformat(day_of(Slot(int(self.clock())), zone))

    def last_day(self, name: str, newest: date) -> date:
        """Return the last day of ranges: today, so that a current outage counts.

        For a system without a run for a month, and if no more data are expected, it is
        *newest*, the newest day with a run or data.
        """
        is_over = self.settings.system_folder(name).is_over
        trail = timedelta(0 if is_over else history.TRAIL_DAYS)
        today = self.today(name)
        return today if newest <= today <= newest + trail else newest

    def ask(
        self,
        name: str,
        report: str,
        since: date,
        until: date,
        *,
        by: str = "",
        stations: Sequence[str] = (),
        least: int = 1,
        weekday: int | None = None,
        without: date | None = None,
    ) -> Answer:
        """Return the answer of *report* for the days from *since* to before *until*.

        *weekday* (0 = Monday) and *without*, a day to skip, are for the report
        ``typical``. Raises UsageError, StorageError.
        """
        zone = history.zone(self.settings, name)
        values = Values(
            since=since,
            until=until,
            interval=self.settings.seconds,
            begin=bounds(since.isoformat(), zone)[0],
            end=bounds(until.isoformat(), zone)[0],
            least=least,
            without=without or date.min,
        )
        if weekday is not None:
            hours = weekday * 24, weekday * 24 + 24
            values = replace(values, first_hour=hours[0], end_hour=hours[1])
        return self._run(
            name,
            lambda db: runner.ask(
                runner.Duck(db), REPORTS[report], values, by=by, stations=stations
            ),
        )

    def opened(self, name: str) -> None:
        """Open the system *name* in advance, to make its first answer faster."""
        self.skipped(name)

    def skipped(self, name: str) -> list[str]:
        """Return a message for each unreadable file, which is skipped in figures."""
        return [f"{day}: {loss.why}" for day, loss in self.losses(name)]

    def losses(self, name: str) -> list[tuple[str, Loss]]:
        """Return day and reason for each unreadable file, which is skipped in figures.

        For a loss of all earlier data, see `loss`.
        """
        state = self.state(name)
        return self._held.skipped(self.settings, name, state, self._since)

    def loss(self, name: str) -> EarlierLoss | None:
        """Return the loss of all earlier data of the system *name*, None if none."""
        return loss_of(self.settings.system_folder(name))

    def film(self, name: str, day: date) -> Film:
        """Return all stations in all slots of *day*; raises StorageError."""
        next_day = day + timedelta(days=1)
        values = Values(since=day, until=next_day, interval=self.settings.seconds)
        zone = history.zone(self.settings, name)
        return self._run(name, lambda db: film(db, values, zone))

    def last_hours(self, name: str) -> Film:
        """Return all stations in the 24 hours that end with the newest slot."""
        zone, seconds = history.zone(self.settings, name), self.settings.seconds
        newest = History(name, self.settings.data / name).newest_block() or Slot(0)
        begin = Slot(newest - DAY + seconds)
        since, last = (date.fromisoformat(day_of(s, zone)) for s in (begin, newest))
        values = Values(
            since=since,
            until=last + timedelta(days=1),
            interval=seconds,
            begin=begin,
            end=newest + seconds,
        )
        return self._run(name, lambda db: film(db, values, zone))

    def texts(self, name: str) -> dict[str, StationTexts]:
        """Return the texts about each station of the newest list, by its id."""

        def rows(db: "DuckDBPyConnection") -> list[Any]:
            with translated("cannot read the names of the stations"):
                return db.execute(TEXTS).fetchall()

        return {row[0]: StationTexts(*row[1:]) for row in self._run(name, rows)}

    def standing(self, name: str) -> Standing:
        """Return the status of the system *name*, as shown by ``status``."""
        system = self.settings.system_folder(name)
        state = SystemAlertState.of(system).stored() or AlertState()
        return survey(
            system,
            now=self.clock(),
            noted=state.incidents,
            seen=state.seen,
            mirror=self.settings.archive.mirror,
        )

    def account(self, name: str, since: date, until: date) -> Account:
        """Return the account from *since* to before *until*, as in reports."""
        zone = history.zone(self.settings, name)
        begin, end = (bounds(d.isoformat(), zone)[0] for d in (since, until))
        return evidence.read_account(
            self.settings.system_folder(name), begin, end, now=self.clock()
        )

    def runs(self, name: str, since: Slot) -> list[Run]:
        """Return the runs of the slots from *since* on, the newest first."""
        return History(name, self.settings.data / name).runs(since)

    def running(self, name: str) -> list[Run]:
        """Return the runs of the system *name* that are running now."""
        return running_runs(self.settings.data / name)

    def incidents(self, name: str, days: int = 30) -> list[Incident]:
        """Return the incidents that are open, or were in the last *days*."""
        since = Slot(int(self.clock()) - days * DAY)
        return History(name, self.settings.data / name).incidents(since)

    def unarchived(self, name: str) -> int:
        """Return the number of closed days that are not archived, which are slow."""
        days = self.days(name)
        if days is None:
            return 0
        sql = "SELECT count(*) FROM archives"
        ((archived,),) = History(name, self.settings.data / name).select(sql)
        return max(0, (days[1] - days[0]).days - int(archived))

    def close(self) -> None:
        """Close all connections."""
        self._held.close()

    def _run(
        self, name: str, query: Callable[["DuckDBPyConnection"], Result]
    ) -> Result:
        """Return what *query* returns for a connection to the system *name*."""
        state = self.state(name)  # first: settings in use since make another state
        return self._held.run(self.settings, name, state, query, self._since)


def _stamp(path: Path) -> tuple[int, int]:
    with suppress(OSError):
        status = path.stat()
        return status.st_mtime_ns, status.st_size
    return (0, 0)
