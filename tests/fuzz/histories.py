"""Random histories of a system, against a plain model.

Run: make fuzz TARGET=histories (or: python tests/fuzz/histories.py SECONDS [SEED]). A
history is a random sequence of fetches, faults, changed settings and commands. In the
end the exports and reports must have each accepted payload's rows exactly once, and one
state for each slot. A history that fails is printed with its seed, which repeats it.
"""

import csv
import json
import random
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

if __name__ == "__main__":
    for name in ("support", "crash"):
        sys.path.insert(0, str(Path(__file__).parents[1] / name))

from life import NAMES, Life
from spoiled_command import FAILURES

from bikecollect.reports.registry import REPORTS

ROOT = Path(__file__).parents[2]
BEGINNINGS = (
    ("Europe/Oslo", "2026-10-24T10"),
    ("America/St_Johns", "2026-10-31T10"),
    ("Australia/Lord_Howe", "2026-10-03T01"),
    ("America/Havana", "2026-10-31T20"),
    ("Africa/Cairo", "2026-10-29T08"),
    ("Antarctica/Troll", "2026-03-28T15"),
    ("Asia/Beirut", "2026-03-28T05"),
    ("Asia/Kathmandu", "2026-12-31T09"),
)
"""Time zones, and a time (UTC) some hours before their clocks change."""
INTERVALS = ("10min", "16min", "30min", "45min", "1h", "2h", "3h", "6h", "8h")
COLUMNS: Sequence[Sequence[str]] = (["occupancy"], [], ["hour"], ["is_empty", "hour"])
KINDS = ("good", "good", "good", "odd", "short", "stale", "down", "garbage")
COMMANDS = (
    "compact",
    "compact --csv-days 0",
    "backfill",
    "verify --repair",
    "verify --deep",
    "push",
    "rebuild stations",
)
READING = (
    *("status", "backfill-report --stations", "runs", "doctor", "verify --mirror"),
    *("export --names -o {}/x.jsonl", "export --what gaps -o {}/x.csv"),
    "export --mirror -o {}/mirrored.csv",
    *(f"report {name}" for name in REPORTS if not name.startswith("vehicle")),
)


def collect(life: Life) -> None:
    """Fetch for some slots in a row."""
    for _ in range(life.random.choice((1, 2, 4, 9))):
        life.fetch(life.random.choice(KINDS))
        life.now += life.seconds


def die(life: Life) -> None:
    """Kill a fetch, or let one of its calls fail."""
    at = life.random.randrange(1, 90)
    life.fetch("good", at, life.random.choice(FAILURES))
    life.now += life.random.choice((0, life.seconds))


def die_in_command(life: Life) -> None:
    """Kill another command, or let one of its calls fail."""
    command = life.random.choice(COMMANDS)
    at = life.random.choice((10, 30, 100, 300))
    at, error = life.random.randint(1, at), life.random.choice(FAILURES)
    life.begin(*command.split(), at=at, error=error).end()


def together(life: Life) -> None:
    """Run two commands at once, and perhaps kill one of them."""
    at, error = life.random.choice((0, 40)), life.random.choice(FAILURES)
    first = life.begin(*life.random.choice(COMMANDS).split(), at=at, error=error)
    second = life.begin(*life.random.choice(COMMANDS).split())
    life.fetch("good")
    second.end()
    first.end()


def wait(life: Life) -> None:
    """Let hours pass, or days, with or without the machine."""
    life.now += life.random.choice((7, 600, 7_200, 30_000, 90_000, 200_000))
    if life.random.random() < 0.5:
        life.booted = life.now - 40


def set_back(life: Life) -> None:
    """Set the clock of the machine back."""
    seconds = life.random.choice((40, 1_000, 9_000))
    life.now -= seconds
    life.booted -= seconds


def change(life: Life) -> None:
    """Change the settings."""
    what = life.random.choice(("interval", "zone", "columns", "csv_days"))
    values: dict[str, Sequence[object]] = {
        "interval": INTERVALS,
        "zone": [zone for zone, _ in BEGINNINGS],
        "columns": COLUMNS,
        "csv_days": (0, 1, 7),
    }
    setattr(life, what, life.random.choice(values[what]))
    life.write()
    life.told.append(f"    {what} {getattr(life, what)}")


def rename_field(life: Life) -> None:
    """Let the publisher rename a field; the settings may follow, and backfill."""
    life.publisher.renamed = life.random.choice(NAMES)
    if life.random.random() < 0.5:
        life.fields = life.publisher.renamed
        life.write()
    life.told.append(f"    field {life.publisher.renamed}, settings {life.fields}")


def rename(life: Life) -> None:
    """Rename the system."""
    new = life.random.choice(("city", "town", "ville"))
    if new != life.name:
        life.run("rename", life.name, new)
        life.name = new


def command(life: Life) -> None:
    """Run a command."""
    life.run(*life.random.choice(COMMANDS).split(), codes=(0, 1, 65, 69, 74))


def read(life: Life) -> None:
    """Run a command that only reads."""
    line = life.random.choice(READING).format(life.root)
    life.run(*line.split(), codes=(0, 1, 64, 69, 74))


def back_up(life: Life) -> None:
    """Copy the data folder."""
    shutil.rmtree(life.root / "backup", ignore_errors=True)
    shutil.copytree(life.root / "data", life.root / "backup")
    life.backup = deepcopy(life.given), life.name


def restore(life: Life) -> None:
    """Restore the backup: in place of the data, over them, or by backfill."""
    if life.backup is None or life.backup[1] != life.name:
        return  # it has the folder of another name
    way = life.random.choice(("instead", "over", "from", "ledger", "rows", "lost"))
    life.told.append(f"    {way}")
    data, backup = life.root / "data", life.root / "backup"
    old, new = backup / life.name, data / life.name
    if way == "instead":
        shutil.rmtree(data)
        shutil.copytree(backup, data)
        life.given = deepcopy(life.backup[0])
    elif way == "over":
        shutil.copytree(old, new, dirs_exist_ok=True)
    elif way == "from":
        life.run("backfill", life.name, "--from", old, codes=(0, 1, 65))
    elif way == "ledger":
        lose_ledger(life)
        shutil.copy(old / "ledger.sqlite3", new)
    elif way == "rows":
        shutil.rmtree(new / "station_status")
        shutil.copytree(old / "station_status", new / "station_status")
    else:
        fill(life)  # rejected payloads stay behind
        shutil.rmtree(life.root / "lost", ignore_errors=True)
        data.rename(life.root / "lost")
        new.mkdir(parents=True)
        (new / ".bikecollect").touch()
        life.now += 86_400  # no slot of the new folder holds one of the old
        life.fetch("good")
        mirror = f"file://{life.root}/mirror"
        life.run("backfill", "--from", mirror, codes=(0, 1, 64, 65, 69, 74))
        life.run("backfill", "--from", life.root / "lost" / life.name, codes=(0, 1, 65))
    life.is_damaged = life.is_damaged or way != "from"


def lose_ledger(life: Life) -> None:
    """Remove the ledger."""
    for path in life.folder.glob("ledger.sqlite3*"):
        path.unlink()
    life.is_damaged = True


def damage(life: Life) -> None:
    """Change, cut, lengthen or remove a file of rows or an index."""
    patterns = ("station_status/*.csv",) * 4 + (
        *("ledger.sqlite3", "facts.json", "station_information.csv"),
        *("../archive/**/*.json", "../archive/**/*.parquet"),
    )
    paths = sorted(life.folder.glob(life.random.choice(patterns)))
    if not paths:
        return
    path = life.random.choice(paths)
    what = life.random.choice(sorted(DAMAGES))
    life.told.append(f"    {what} {path.relative_to(life.root)}")
    data = DAMAGES[what](path.read_bytes(), life.random)
    path.write_bytes(data) if data is not None else path.unlink()
    life.is_damaged = True


def _flip(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) or 1)
    return (
        data[:at]
        + bytes([b ^ 1 << rng.randrange(8) for b in data[at : at + 1]])
        + data[at + 1 :]
    )


def _less(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines) or 1)
    return b"".join(lines[:at] + lines[at + rng.randrange(1, 12) :])


def _twice(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines) or 1)
    return b"".join(lines[: at + 1] + lines[at:])


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "flip": _flip,
    "less": _less,
    "twice": _twice,
    "remove": lambda data, rng: None,
    "cut": lambda data, rng: data[: rng.randrange(len(data) + 1)],
    "empty": lambda data, rng: b"",
    "crlf": lambda data, rng: data.replace(b"\n", b"\r\n"),
    "tail": lambda data, rng: data + rng.choice((b"xx", b"\0" * 200, data[-100:])),
    "zeros": lambda data, rng: (
        data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
    ),
}
STEPS: dict[Callable[[Life], None], int] = {
    collect: 10,
    die: 3,
    die_in_command: 3,
    together: 2,
    wait: 4,
    set_back: 1,
    change: 4,
    rename_field: 2,
    rename: 1,
    command: 8,
    read: 3,
    back_up: 2,
    restore: 2,
}
DAMAGING: dict[Callable[[Life], None], int] = {damage: 3, lose_ledger: 1}


def fill(life: Life) -> None:
    """Fill slots from payloads; the settings name each of the publisher's fields."""
    names = sorted({g.name for given in life.given.values() for g in given if g.rows})
    before = life.fields
    for life.fields in [*names, before]:
        life.write()
        if life.fields in names:
            life.run("backfill", codes=(0, 1, 65, 74))


def heal(life: Life) -> None:
    """Follow the remedies that `verify` names until it finds nothing."""
    life.publisher.renamed, life.fields = NAMES[0], ""
    life.write()
    life.fetch("good")
    life.run("verify", "--repair")
    fill(life)
    for _ in range(6):
        found = life.run("verify", "--format", "json")
        lines = [json.loads(line) for line in found.splitlines() if line[:1] == "{"]
        remedies = {f["remedy"]: f for f in lines if "remedy" in f}
        if not remedies:
            return
        for remedy, finding in remedies.items():
            if "ledger.sqlite3 away" in remedy:
                lose_ledger(life)
            for path in finding["where"], f"{life.name}/{finding['where']}":
                if remedy.startswith("restore these payloads"):
                    (life.root / "data" / path).unlink(missing_ok=True)
            if remedy.startswith("remove "):
                Path(remedy[7:].partition(", then")[0]).unlink()
            if "bikecollect " in remedy:
                words = remedy.rpartition("bikecollect ")[2].split(";")[0].split()
                life.run(*words, codes=(0, 1, 64, 65, 69, 74))
        fill(life)
    raise AssertionError(f"verify still names remedies: {list(remedies)}")


def check(life: Life, readers: int = 3) -> None:
    """Compare what the commands say with the model; run some *readers* too."""
    if not life.given:
        return
    if life.is_damaged:
        heal(life)
    life.is_damaged = False
    life.now = max(life.now, *(slot + 2 for slot in life.given))
    life.fetch("good")
    fill(life)
    life.run("verify", "--deep", codes=(0,))
    out = life.root / "out.csv"
    life.run("export", "-o", out, codes=(0,))
    rows = _read(out)
    seen: dict[int, dict[str, str]] = {}
    for row in rows:
        at = seen.setdefault(_seconds(row["slot"]), {})
        assert row["station_id"] not in at, f"twice: {row}"
        at[row["station_id"]] = row["num_vehicles_available"]
    for slot in life.must:
        assert slot in seen, f"{_shown(slot)} is lost"
    for slot, at in seen.items():
        may = [_spelled(g.rows) for g in [*life.given.get(slot, []), *life.loose]]
        assert at in may, f"{_shown(slot)} has {at}, not {may}"
    life.run("export", "--what", "slots", "-o", out, codes=(0,))
    slots = _read(out)
    states = {_seconds(row["slot"]): row["state"] for row in slots}
    assert len(states) == len(slots), "a slot is listed twice"
    assert {s for s, state in states.items() if state != "missing"} == seen.keys()
    assert all(row["cause"] for row in slots if row["state"] == "missing")
    _same_figures(life, states)
    for line in life.random.sample(READING, readers):
        life.run(*line.format(life.root).split(), codes=(0, 1, 64, 69))


def _same_figures(life: Life, slots: dict[int, str]) -> None:
    """Compare the states of *slots* with the numbers in two reports."""
    text = life.run("backfill-report", "--format", "json", codes=(0,))
    report = json.loads(text)
    # Slots that were imported from before the first run are not expected.
    first = _seconds(report["since"])
    states = Counter(state for slot, state in slots.items() if slot >= first)
    stale, missing = report["stale"], report["missing"]
    assert stale == states["stale"], f"{report}: {states}"
    assert report["partial"] == states["partial"], f"{report}: {states}"
    assert report["collected"] == states.total() - states["missing"], states
    assert missing == sum(day["missing"] for day in report["days"])
    assert missing == sum(gap["slots"] for gap in report["gaps"])
    assert all(gap["cause"] for gap in report["gaps"])
    assert missing + report["collected"] == report["expected"]
    text = life.run("report", "coverage", "--format", "json", codes=(0,))
    rows = [json.loads(line) for line in text.splitlines() if line[:1] == "{"]
    total: Counter[str] = Counter()
    for row in rows:
        total[row["state"]] += row["slots"]
    for state in ("collected", "stale", "partial"):
        count = sum(found == state for found in slots.values())
        assert total[state] == count, f"{total} {slots}"


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _spelled(rows: object) -> dict[str, str]:
    assert isinstance(rows, dict)
    return {name.replace("\n", " "): cell for name, cell in rows.items()}


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _shown(slot: int) -> str:
    return f"slot {datetime.fromtimestamp(slot, UTC):%Y-%m-%dT%H:%MZ}"


def live(root: Path, seed: int, steps: int, readers: int = 3) -> Life:
    """Return a life of a number of *steps* that are determined by *seed*."""
    rng = random.Random(seed)
    zone, begin = rng.choice(BEGINNINGS)
    now = datetime.fromisoformat(f"{begin}:00:00+00:00").timestamp() + 2
    life = Life(root, rng, now, zone, rng.choice(INTERVALS))
    choices = STEPS | (DAMAGING if rng.random() < 0.5 else {})
    try:
        life.fetch("good")
        for number in range(1, steps + 1):
            (step,) = rng.choices(list(choices), list(choices.values()))
            life.told.append(f"{number} {step.__name__} {_shown(int(life.now))}")
            step(life)
            if number % 12 == 0 or number == steps:
                check(life, readers)
    except Exception as error:
        error.add_note("\n".join(life.told))
        raise
    return life


def main(seconds: float, seed: int, steps: int = 24, base: str = "") -> int:
    """Live lives until the time is over; return how many failed."""
    broken, begun, end = 0, seed, time.monotonic() + seconds
    folder = Path(base or ROOT / "build/fuzz/histories")
    while time.monotonic() < end:
        root = folder / str(seed)
        shutil.rmtree(root, ignore_errors=True)
        try:
            live(root, seed, steps)
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            broken += 1
            (root / "told").write_text("".join(traceback.format_exception(error)))
            sys.stdout.write(f"seed {seed}: {str(error)[:600]}\n  see {root}/told\n")
            sys.stdout.flush()
        else:
            shutil.rmtree(root)
        seed += 1
    sys.stdout.write(f"DONE {seed - begun} histories, {broken} broken\n")
    return broken


if __name__ == "__main__":
    seconds, seed, steps, base = [
        *sys.argv[1:],
        *("600", "0", "24", "")[len(sys.argv) - 1 :],
    ]
    sys.exit(min(main(float(seconds), int(seed or time.time()), int(steps), base), 1))
