"""Removes kept payloads after their days."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

DAYS = "[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]"


def prune_kept(
    folder: Path,
    first_day: str,
    newest: int,
    list_payloads: Callable[[Path], list[Path]],
) -> None:
    """Remove the payloads in *folder* of days before *first_day*; raises OSError.

    Those of the *newest* days stay: a clock that was ahead once is no reason to remove
    what `backfill` may need. *list_payloads* returns the payloads of a day; files of
    others stay.
    """
    days = sorted(path for path in folder.glob(DAYS) if path.is_dir())
    for day in days[: -newest or None]:
        if day.name < first_day:
            for path in list_payloads(day):
                path.unlink(missing_ok=True)
            with suppress(OSError):
                day.rmdir()
