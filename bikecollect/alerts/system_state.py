"""The state of a system's alerts: a file beside its data, and the user's copy.

All users of the data share the file in the system's folder: cron, a shell, sudo and
containers see the same incidents. The copy in the user's state folder is used while the
system's folder cannot be, for example because its disk is not mounted.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bikecollect.alerts.escalation import MEMORY
from bikecollect.alerts.state import AlertState, AlertStateFile, stored_state
from bikecollect.core.incidents import Incident, Signal
from bikecollect.core.slots import Slot
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import (
    SystemFolder,
    alert_state_path,
    is_marked,
)

NAME = "alerts.state"
UNUSABLE = frozenset({"bug", "disk", "folder", "ledger", "lock", "lost", "settings"})
"""Kinds of incidents during which a folder may have been unusable, or gone."""


class AlertPaths(NamedTuple):
    """A system's folder, and the files of its alerts outside that folder.

    *spare_outbox* is used while the folder cannot be used.
    """

    system: SystemFolder
    spare_outbox: Path
    state_file: Path

    def state(self) -> "SystemAlertState":
        """Return the state of the alerts; *state_file* is the user's copy of it."""
        return SystemAlertState(self.system.path, self.state_file)


class SystemAlertState:
    """The state in the system's *folder*, with the user's *copy* of it."""

    def __init__(self, folder: Path, copy: Path) -> None:
        self._folder = folder
        self._shared, self._copy = AlertStateFile(folder / NAME), AlertStateFile(copy)
        self._paths = folder / NAME, copy
        self.put_back: tuple[Slot, Slot] | None = None
        """The last slots that an older folder, and the lost newer one, had told."""

    @classmethod
    def of(cls, system: SystemFolder) -> "SystemAlertState":
        """Return the state of the alerts of *system*."""
        return cls(system.path, alert_state_path(system.system_id, str(system.path)))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the shared file, or the copy if the shared file cannot be used.

        A folder without its marker is not mounted: nothing is written to it.
        """
        with ExitStack() as stack:
            if is_marked(self._folder):
                stack.enter_context(self._shared.held())
            if not self._shared.usable:
                stack.enter_context(self._copy.held())
            yield

    @property
    def usable(self) -> bool:
        """Whether the state can be read and written."""
        return self._shared.usable or self._copy.usable

    def load(self) -> AlertState | None:
        """Return the state, None if there is none or it is damaged."""
        if not self._shared.usable:
            return self._copy.load()
        shared, copy = self._shared.load(), stored_state(self._paths[1])
        self.put_back = _put_back(shared, copy)
        return _merged(shared, copy)

    def load_or_recover(self, slot: Slot, ledger: AlertLedger) -> AlertState:
        """Return the state before *slot*, by the *ledger* if it is lost or outdated."""
        state = self.load()
        if state is not None and not _is_outdated(state, slot, ledger):
            return state
        incidents = ledger.incidents(Slot(slot - MEMORY), slot)
        return AlertState(ledger.last_run(slot), incidents)

    def save(self, state: AlertState) -> bool:
        """Write *state* to both files; return whether one of them has it."""
        state = state._replace(revision=state.revision + 1)
        if not self._shared.usable:
            return self._copy.save(state._replace(unusable=state.seen))
        is_saved = self._shared.save(state)
        with self._copy.held():
            return self._copy.save(state) or is_saved

    def stored(self) -> AlertState | None:
        """Return the state without locking it, None if there is none."""
        shared, copy = map(stored_state, self._paths)
        return _merged(shared, copy)

    def older_copy(
        self, slot: Slot, system: SystemFolder, ledger: AlertLedger
    ) -> Signal | None:
        """Note that the folder is an older copy, if it is; see `OlderCopy`.

        *slot* is that of the run that sees it.
        """
        if self.put_back is None:
            return None
        from bikecollect.alerts.earlier_data import OlderCopy  # a fetch seldom needs it

        return OlderCopy(system, ledger).note(self.put_back, slot)

    def note_lost(self, slots: int) -> None:
        """Note that the open loss of earlier data has cost *slots*."""
        self._change_incidents(
            lambda i: i._replace(lost=slots) if i.kind == "lost" and i.is_open else i
        )

    def note_filled(
        self, still_lost: Callable[[Incident], Incident], ledger: AlertLedger
    ) -> None:
        """Note in the state and the *ledger* that slots of incidents were filled.

        *still_lost* returns an incident with those that were not. That of a loss of
        earlier data counts its slots when it ends.
        """
        changed = self._change_incidents(
            lambda i: still_lost(i) if i.lost and i.kind != "lost" else i
        )
        if changed:
            ledger.save(changed)

    def clear_mail_error(self) -> None:
        """Note that mails can be sent."""
        self._change(lambda state: state._replace(mail="", rejected={}))

    def _change_incidents(
        self, change: Callable[[Incident], Incident]
    ) -> list[Incident]:
        """Write the incidents after *change*; return those that it has changed."""
        return self._change(
            lambda state: state._replace(incidents=tuple(map(change, state.incidents)))
        )

    def _change(self, change: Callable[[AlertState], AlertState]) -> list[Incident]:
        """Write the state after *change*, if there is one and it differs.

        Return the incidents that *change* has changed.
        """
        if self.stored() is None:
            return []  # nothing is created
        with self.held():
            state = self.load()
            if state is None or self.put_back:
                return []  # the next run has to find that an older folder was put back
            after = change(state)
            if after != state:
                self.save(after)
            return [i for i in after.incidents if i not in state.incidents]


def stored_incidents(system: SystemFolder) -> tuple[Incident, ...]:
    """Return the incidents in the state of *system*, without locking it."""
    state = SystemAlertState.of(system).stored()
    return state.incidents if state else ()


def with_orphans(state: AlertState, slot: Slot, ledger: AlertLedger) -> AlertState:
    """Return *state* before *slot* with open incidents that only the *ledger* has.

    They exist if a run was killed between the two writes, and would stay open.
    """
    known = {incident.kind for incident in state.incidents}
    recent = ledger.incidents(Slot(slot - MEMORY), slot)
    orphans = (i for i in recent if i.is_open and i.kind not in known)
    return state._replace(incidents=(*state.incidents, *orphans))


def _is_outdated(state: AlertState, slot: Slot, ledger: AlertLedger) -> bool:
    """Return whether *state*, written by an earlier version, is out of date.

    Earlier versions kept it only in a user's state folder; another user may have
    collected since, until *slot*.
    """
    if state.revision or state.seen is None:
        return False
    return state.seen < (ledger.last_run(slot) or state.seen)


def _put_back(
    shared: AlertState | None, copy: AlertState | None
) -> tuple[Slot, Slot] | None:
    """Return the last slots that both told, if the folder is older than the *copy*.

    None if the folder may only have been unusable for a time.
    """
    if shared is None or copy is None or copy.revision <= shared.revision:
        return None
    if shared.seen is None or copy.seen is None or copy.seen <= shared.seen:
        return None
    since = shared.seen
    if copy.unusable is not None and copy.unusable > since:
        return None  # also if the incident is muted
    if any(i.kind in UNUSABLE and i.last > since for i in copy.incidents):
        return None
    return since, copy.seen


def _merged(shared: AlertState | None, copy: AlertState | None) -> AlertState | None:
    """Return the newer state, with open incidents that only the other one has.

    The copy is newer if the folder could not be used for a time, unless another user
    has reported since.
    """
    if shared is None or copy is None:
        return shared or copy
    is_copy_newer = copy.revision > shared.revision
    newer, older = (copy, shared) if is_copy_newer else (shared, copy)
    kinds = {incident.kind for incident in newer.incidents}
    missing = [
        incident
        for incident in older.incidents
        if incident.kind not in kinds
        and incident.is_open
        and incident.last > (newer.seen or 0)
    ]
    return newer._replace(incidents=(*newer.incidents, *missing))
