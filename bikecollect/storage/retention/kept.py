"""Remove kept payloads when they are old enough."""

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

    The *newest* days that have payloads are kept in any case: if the clock was ahead
    once, `backfill` may still need them. *list_payloads* returns the payloads in the
    folder of a day; other files are not removed.
    """
    days = sorted(path for path in folder.glob(DAYS) if path.is_dir())
    for day in days[: -newest or None]:
        if day.name < first_day:
            for path in list_payloads(day):
                path.unlink(missing_ok=True)
            with suppress(OSError):
                day.rmdir()
