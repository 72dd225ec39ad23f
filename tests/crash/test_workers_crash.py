"""A call with two worker processes: power cuts, and kills while it sends alerts."""

import json
import shutil
import signal
from collections.abc import Collection, Iterator, Sequence
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import powerloss
import pytest
from command_driver import client_of
from commands import Site
from driver import INTERVAL
from harness import UNREAD, fault_at
from powerloss import Call, Disk, State
from world import NOON

from bikecollect.cli import main
from bikecollect.setup.loader import load
from bikecollect.wiring import collection

pytest.importorskip("duckdb")
pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed"
)
SYSTEMS = ("oslo", "riga")
UNTIL = ("--until", "2026-11-22T12:20:00+08:00")
ORDERING = {"sync", "rename", "unlink"}
KILLED = {"now names, now data"}
"""What is there after a kill."""
CUT = KILLED | {"safe names, safe data", "now names, torn data"}
"""What may be there after a power cut."""
FIRST_ALERT = "alerts.state"
"""The file that a call begins its alerts with, after all its workers have ended."""
DOWN = ("--down", "riga", "--share", "1")
"""In the call that is cut riga's feed is down: people are alerted."""
SETTINGS = """
[mail]
host = "127.0.0.1"
port = 9
security = "none"
sender = "bikes@example.org"
to = ["me@example.org"]
[collect]
workers = 2
""" + "".join(
    f"""
[systems.{name}]
feed = "gbfs"
url = "http://{name}/gbfs"
timezone = "Asia/Taipei"
"""
    for name in SYSTEMS
)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a site whose two systems have two slots."""
    site = Site(tmp_path_factory.mktemp("workers") / "site", (), SETTINGS)
    for number, slot in ((1, 0), (2, 1)):
        assert site.fetch(number, slot) == (0, "")
    shutil.copytree(site.root, site.root.with_name("history"))
    return site


@pytest.fixture
def site(history: Site) -> Site:
    """Return the site as it was after its history, at the path that it knows."""
    powerloss.clear(history.root)
    shutil.copytree(history.root.with_name("history"), history.root)
    return Site(history.root, (), SETTINGS, dict(history.slots))


def trace(site: Site, mutant: str = "") -> list[Call]:
    """Return the calls of all processes of a call; the history is restored."""
    options = ("-xx", "-s", "4000000", "-e", f"trace={powerloss.CALLS}")
    more = (*DOWN, "--mutant", mutant)
    code, _ = site.trace("fetch", slot=2, number=3, options=options, down=more)
    assert code == 69
    site.slots |= {2: 3, 3: 4}
    powerloss.clear(site.root)
    shutil.copytree(site.root.with_name("history"), site.root)
    text = Path(f"{site.root}.trace").read_text(encoding="ascii")
    calls = powerloss.read_trace(text, site.root)
    return [c for c in calls if not c.path.endswith(UNREAD)]


class Cut(NamedTuple):
    """A disk after a power cut, and the systems whose payload was accepted by then."""

    name: str
    state: State
    accepted: frozenset[str]


def cuts(site: Site, calls: Sequence[Call]) -> Iterator[Cut]:
    """Yield disks that a cut during *calls* may leave, each system's states once.

    While workers are at work, each writes to the folders of its systems only: a cut may
    find them in any of their states, so one disk shows a new state of each system. From
    the first alert on, a disk shows all folders as they were at one time.
    """
    alerts = next(i for i, call in enumerate(calls) if call.path.endswith(FIRST_ALERT))
    folders = [f"{site.root}/data/{name}/" for name in SYSTEMS]
    disk, disks = Disk(site.root), [Disk(site.root) for _ in folders]
    working = [
        [c for c in calls[:alerts] if f"{c.path}/".startswith(f)] for f in folders
    ]
    assert sum(map(len, working)) == alerts
    parts = [states(*part) for part in zip(disks, working, folders, strict=True)]
    state = dict(disk.states())["now names, now data"]
    latest = [Cut("", {}, frozenset())] * len(SYSTEMS)
    for cuts in zip_longest(*parts):
        latest = [cut or last for cut, last in zip(cuts, latest, strict=True)]
        for cut, folder in zip(latest, folders, strict=True):
            others = {p: data for p, data in state.items() if not p.startswith(folder)}
            state = others | cut.state
        accepted = frozenset[str]().union(*(cut.accepted for cut in latest))
        yield Cut(" / ".join(cut.name for cut in latest), state, accepted)
    for call in calls[:alerts]:
        disk.apply(call)
    for cut in states(disk, calls[alerts:]):
        yield cut._replace(accepted=accepted)


def states(disk: Disk, calls: Sequence[Call], folder: str = "") -> Iterator[Cut]:
    """Yield the distinct states of *folder* after power cuts during *calls*.

    What is done between two calls that order others may be on the disk or not, in part
    or as a whole. Without *folder* the states of all folders after kills are added.
    """
    seen: set[int] = set()
    for step, (call, following) in enumerate(zip_longest(calls, calls[1:])):
        disk.apply(call)
        is_ordered = following is None or following.name in ORDERING
        if not is_ordered and (folder or call.name == following.name == "write"):
            continue
        is_accepted = powerloss.is_accepted(calls[: step + 1])
        accepted = frozenset({Path(folder).name} if is_accepted else ())
        for name, everything in disk.states():
            if name in (CUT if is_ordered else KILLED):
                state = {p: everything[p] for p in sorted(everything) if folder in p}
                key = hash((accepted, *state.items()))
                if key not in seen:
                    seen.add(key)
                    yield Cut(f"{call.name} {call.path}, {name}", state, accepted)


def slots(folder: Path) -> set[str]:
    """Return the slots that the CSV files of a system have."""
    texts = (p.read_text("utf-8") for p in folder.glob("station_status/*.csv"))
    lines = (line for text in texts for line in text.splitlines()[1:])
    return {line.partition(",")[0] for line in lines}


def _has_note(state: State, name: str) -> bool:
    """Return whether the note of a run of the system *name* can be read.

    A slot without one is reported like any time without power.
    """
    notes = [p for p in state if f"/{name}/" in p and p.endswith(".run")]
    return any((state[note] or b"").endswith(b"}") for note in notes)


class NextCall:
    """The call after one that was cut or killed, on *site*."""

    def __init__(self, site: Site, patch: pytest.MonkeyPatch) -> None:
        self._site = site
        config = str(site.root / "bikecollect.toml")
        self._config, self._settings = config, load(config)
        self._moment = NOON + 3 * INTERVAL + 2
        patch.setenv("XDG_STATE_HOME", str(site.root / "home/state"))
        patch.setattr(collection, "_client", client_of(4, self._moment))

    def after_cut(self, cut: Cut) -> list[str]:
        """Return what it does not recover after *cut*."""
        powerloss.clear(self._site.root)
        powerloss.write(cut.state, self._site.root)
        return self.violations(cut.accepted, least_mails=_has_note(cut.state, "riga"))

    def violations(self, accepted: Collection[str], least_mails: int = 1) -> list[str]:
        """Return what it does not recover, of the payloads of the *accepted* systems.

        At least *least_mails* and at most two mails report riga's lost slot.
        """
        clock = partial(float, self._moment)
        runs = collection.collect(self._settings, clock=clock, uptime=clock)
        bad = [f"{r.system_id}: {r.error}" for r in runs if r.exit_code]
        code, printed = self._printed("verify")
        bad += [f"verify: {code} {printed}"] if code else []
        for name in SYSTEMS:
            optional = () if name in accepted else (2,)
            bad += self._site.violations(name, slots=optional)
        _, printed = self._printed("backfill-report", "--format", "json", *UNTIL)
        for report in map(json.loads, printed.splitlines()):
            rows = slots(self._site.root / "data" / report["system"])
            if (report["expected"], report["collected"]) != (4, len(rows)):
                bad.append(f"{report}, but the files have {rows}")
        mails = [p.read_text() for p in self._site.root.glob("data/*/outbox/*.eml")]
        count = sum("riga" in mail for mail in mails)
        return bad + ([] if least_mails <= count <= 2 else [f"{count} mails"])

    def _printed(self, *arguments: str) -> tuple[int, str]:
        with redirect_stdout(StringIO()) as printed:
            code = main.run(["--config", self._config, *arguments])
        return code, printed.getvalue()


def test_a_power_cut_at_any_step_loses_nothing_accepted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is anything doubled; `verify` and `backfill-report` agree with the files."""
    following = NextCall(site, monkeypatch)
    disks = list(cuts(site, trace(site)))
    bad = {cut.name: following.after_cut(cut) for cut in disks}
    assert len(disks) > 50
    assert {name: problems for name, problems in bad.items() if problems} == {}


def test_a_missing_fsync_is_caught(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the fsync of the CSV files the same harness finds a loss."""
    following = NextCall(site, monkeypatch)
    disks = cuts(site, trace(site, "no-csv-fsync"))
    assert any(following.after_cut(cut) for cut in disks)


@pytest.mark.parametrize("case", ["pwrite64:1", "rename:1", "pwrite64:8", "unlink:3"])
def test_a_call_killed_while_it_sends_alerts_is_completed(
    site: Site, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Its workers end by themselves; the next call sends what was not sent."""
    fault = fault_at(case, "signal=SIGKILL")._replace(follows=False)
    code, _ = site.fail("fetch", fault=fault, slot=2, number=3, down=DOWN)
    assert code == -signal.SIGKILL
    site.slots |= {2: 3, 3: 4}
    assert NextCall(site, monkeypatch).violations({"oslo"}) == []
