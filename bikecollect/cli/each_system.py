"""Work on several systems, one by one: skip those that cannot be read."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bikecollect.cli.printing import complain
from bikecollect.core.errors import (
    BikecollectError,
    ExitCode,
    SettingsError,
    StorageError,
    resource_hint,
)
from bikecollect.core.slots import Slot
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.files.losses import EarlierLoss
from bikecollect.storage.ledger_reader import END
from bikecollect.storage.repair.damage import loss_of, vehicles_loss_of

OnLoss = Callable[[str, str], None]


class Attempts:
    """Work on the systems *names*, one by one; *code* is 0 if none is in *skipped*.

    Nor if data of an answer are lost: *losses* has the texts, see `report_loss`.
    *others* are errors for which a system is skipped, too. If *on_loss* is given, it is
    called with a system and the text in place of a report.
    """

    def __init__(
        self,
        names: Sequence[str],
        *others: type[BikecollectError],
        on_loss: OnLoss | None = None,
    ) -> None:
        self._is_only = len(names) == 1
        self._on_loss = on_loss or self._complain
        self._coded: tuple[type[BikecollectError], ...] = (*others, SettingsError)
        self.code = ExitCode.OK
        self.skipped: dict[str, None] = {}
        self.losses: dict[str, str] = {}

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Report on stderr that the system *name* is skipped, if the context fails.

        The error is raised if it is the only system, or does not concern its folder.
        """
        try:
            yield
        except (BikecollectError, OSError) as error:
            is_its_own = isinstance(error, (*self._coded, StorageError, OSError))
            if self._is_only or not is_its_own or isinstance(error, BrokenPipeError):
                raise
            text = str(error)
            if isinstance(error, OSError) and error.filename:
                text = f"{error.filename}: {error.strerror}"
            text = text.removeprefix(f"{name}: ")
            complain(f"{name}: skipped: {text}{resource_hint(text)}")
            self.skipped[name] = None
            self.code = ExitCode.IO
            if isinstance(error, self._coded):
                self.code = error.exit_code

    def report_loss(
        self,
        system: SystemFolder,
        begin: Slot,
        end: Slot = END,
        *,
        has_data: bool = True,
    ) -> None:
        """Report on stderr if data of *system* from *begin* to before *end* are gone.

        Raises StorageError if it has no data at all any more.
        """
        loss = loss_of(system)
        if loss is None or not loss.concerns(begin, end):
            return
        if not has_data:
            raise StorageError(loss.text)
        self._add_loss(system, loss)

    def report_lost_vehicles(
        self, system: SystemFolder, begin: Slot, end: Slot = END
    ) -> None:
        """Report on stderr if vehicles of *system* are gone, as above."""
        loss = vehicles_loss_of(system)
        if loss is not None and loss.concerns(begin, end):
            self._add_loss(system, loss)

    def _add_loss(self, system: SystemFolder, loss: EarlierLoss) -> None:
        self.losses[system.system_id] = loss.text
        self._on_loss(system.system_id, loss.text)

    def _complain(self, system_id: str, text: str) -> None:
        complain(f"{system_id}: {text}")
        self.code = self.code or ExitCode.IO
