"""Find the lines that a run wrote to the log files of its system."""

from contextlib import suppress
from pathlib import Path


def log_lines(folder: Path, run_id: str) -> list[str]:
    """Return the lines of the log files in *folder* that belong to *run_id*."""
    run_lines: list[str] = []
    paths = sorted(folder.glob("bikecollect.log*"), key=_age, reverse=True)
    for path in paths:
        with (
            suppress(OSError),
            path.open(encoding="utf-8", errors="replace") as lines,
        ):
            inside = False
            for line in lines:
                inside = run_id in line or (inside and line.startswith((" ", "Tr")))
                if inside:
                    run_lines.append(line.rstrip("\n"))
    return run_lines


def _age(path: Path) -> int:
    """Return the number in a log file's name; older files have higher ones."""
    number = path.suffix.removeprefix(".")
    return int(number) if number.isdigit() else 0
