"""Incidents are stored with the data: the next run knows the open ones."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from alerting_world import BEGIN, BEGIN_SLOT, World
from in_process import bikecollect
from mailserver import MailServer

from bikecollect.alerts.earlier_data import OlderCopy
from bikecollect.alerts.state import AlertState, AlertStateFile
from bikecollect.alerts.system_state import SystemAlertState, stored_incidents
from bikecollect.archive.mirror.live.live_paths import LEDGERS
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.core.incidents import Incident
from bikecollect.core.process import Stop, Times
from bikecollect.core.run import Result, Run
from bikecollect.core.slots import DAY, Slot, stamp
from bikecollect.reports.evidence import slot_rows
from bikecollect.reports.status import damage_of, survey
from bikecollect.reports.status_facts import verdict
from bikecollect.setup.settings import Settings
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import (
    LEDGER,
    MARKER,
    SystemFolder,
    alert_state_path,
    prepare,
    state_home,
)
from bikecollect.storage.files import entries, known_folders, marker
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair.new_history import new_histories
from bikecollect.wiring.alerting import alerter
from bikecollect.wiring.backfilling import backfiller
from bikecollect.wiring.backfilling import source as source_of
from bikecollect.wiring.filling.loss_before import LossBefore
from bikecollect.wiring.repairs import forget
from bikecollect.wiring.taken_runs import take_over_runs


@pytest.fixture
def mailserver(tmp_path: Path) -> MailServer:
    """Return a mail server that is down until a test starts it."""
    return MailServer.new(tmp_path / "mail")


def open_kinds(settings: Settings) -> list[str]:
    """Return the kinds of the open incidents, as `status` and the app show them."""
    incidents = stored_incidents(settings.system_folder("a"))
    return [incident.kind for incident in incidents if incident.is_open]


def damage(settings: Settings, name: str) -> list[str]:
    """Return what `status` says of the damaged or missing data of a system."""
    system = settings.system_folder(name)
    return damage_of(system, History(name, system.path))


@pytest.mark.parametrize("users", ["aaaaaaaaaaaa", "abababababab", "aabbbbbbbaaa"])
def test_all_users_of_the_data_see_the_same_incidents(
    tmp_path: Path, mailserver: MailServer, monkeypatch: pytest.MonkeyPatch, users: str
) -> None:
    """Cron, a shell and sudo have different homes: one outage is one pair of mails."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    feed = [True, *[False] * 5, *[True] * 6]
    with world.served() as settings, mailserver.up():
        for user, up in zip(users, feed, strict=True):
            monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / user))
            world.slot(settings, up=up)
    assert mailserver.subjects() == [
        "a: feed down since 00:10",
        "a: feed down since 00:10, for 15 min",
        "a: resolved: feed down 00:10 to 00:35, 5 slots lost",
    ]


def test_a_user_without_any_state_sees_open_incidents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in another container that has only the data."""
    world = World(tmp_path / "data", "a")
    with world.served() as settings:
        world.slot(settings)
        world.slot(settings, up=False)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
        assert open_kinds(settings) == ["fetch"]
        world.slot(settings)
        world.slot(settings)
        monkeypatch.undo()
        assert open_kinds(settings) == []


def test_slots_of_another_user_were_not_missed(
    tmp_path: Path, mailserver: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in the ledger, however old the user's own state is."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        for user in "abbbbbba":
            monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / user))
            world.slot(settings)
    assert mailserver.mails() == []


def test_the_copy_continues_while_the_disk_is_away(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """An incident opened before is closed afterwards, once."""
    data = tmp_path / "data"
    world = World(data, "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        world.slot(settings, up=False)
        data.rename(tmp_path / "unmounted")
        (data / "a").mkdir(parents=True)  # the mount point
        world.slot(settings)
        shutil.rmtree(data)
        (tmp_path / "unmounted").rename(data)
        for _ in range(4):
            world.slot(settings)
        assert open_kinds(settings) == []
    assert mailserver.subjects() == [
        "a: feed down since 00:10",
        "a: disk unusable since 00:15",
        "a: resolved: feed down 00:10 to 00:15, 1 slot lost",
        "a: resolved: disk unusable 00:15 to 00:20, 1 slot lost",
    ]


@pytest.mark.parametrize(
    ("uptime", "cause"), [(1e6, "not-started"), (100.0, "host-off")]
)
def test_slots_before_the_disk_failed_have_their_own_cause(
    tmp_path: Path, uptime: float, cause: str
) -> None:
    """A ledger that cannot be read was not lost: the machine was off, or no run."""
    data = tmp_path / "data"
    world = World(data, "a")
    with world.served() as settings:
        world.slot(settings)
        data.rename(tmp_path / "unmounted")
        (data / "a").mkdir(parents=True)  # the mount point
        world.clock.now += 900  # the first slots without a run
        world.run(settings, uptime=lambda: uptime, awake=float)
        shutil.rmtree(data)
        (tmp_path / "unmounted").rename(data)
        world.clock.now += 300
        world.run(settings, uptime=lambda: uptime + 300, awake=float)
        told = stored_incidents(settings.system_folder("a"))
        recorded = causes(world, settings)

    assert [dict(i.causes) for i in told if i.kind == "missed"] == [{cause: 2}]
    assert recorded == [cause, cause, "disk"]


def test_nothing_is_written_to_a_mount_point(tmp_path: Path) -> None:
    """No state is stored in a folder without its marker."""
    (tmp_path / "a").mkdir()
    state = SystemAlertState(tmp_path / "a", tmp_path / "home/copy")

    with state.held():
        assert state.save(AlertState(seen=Slot(300)))

    assert list((tmp_path / "a").iterdir()) == []
    assert state.stored() == AlertState(Slot(300), revision=1, unusable=Slot(300))


def incident(kind: str, slot: int) -> Incident:
    """Return an open incident of *slot*."""
    return Incident(f"{kind}-{slot}", kind, Slot(slot), Slot(slot), told=1)


@pytest.mark.parametrize(
    ("copy", "kinds"),
    [
        (AlertState(Slot(300), (incident("disk", 300),), revision=3), ["fetch"]),
        (
            AlertState(Slot(900), (incident("disk", 900),), revision=3),
            ["fetch", "disk"],
        ),
        (AlertState(Slot(900), (incident("disk", 900),), revision=9), ["disk"]),
        (AlertState(Slot(900), (), revision=9), []),
    ],
    ids=["old", "of-another-user", "newer", "newer-and-calm"],
)
def test_the_newer_state_is_used(
    tmp_path: Path, copy: AlertState, kinds: list[str]
) -> None:
    """Incidents that only the older one has are kept if they happened since."""
    folder, path = tmp_path / "a", tmp_path / "copy"
    folder.mkdir()
    (folder / ".bikecollect").touch()
    shared = AlertState(Slot(600), (incident("fetch", 600),), revision=4)
    state = SystemAlertState(folder, path)
    nowhere = SystemAlertState(tmp_path / "nowhere", path)
    only_shared = SystemAlertState(folder, tmp_path / "other")
    with only_shared.held():
        assert only_shared.save(shared)
    with nowhere.held():
        assert nowhere.save(copy)

    with state.held():
        merged = state.load()

    assert merged is not None
    assert [incident.kind for incident in merged.incidents] == kinds


def test_the_state_of_the_version_before_is_read(tmp_path: Path) -> None:
    """It was in the user's state folder only."""
    folder = tmp_path / "a"
    folder.mkdir()
    before = SystemAlertState(folder, tmp_path / "copy")
    with before.held():
        assert before.save(AlertState(Slot(300), (incident("fetch", 300),)))
    (folder / ".bikecollect").touch()

    with before.held():
        state = before.load()

    assert state is not None
    assert [incident.kind for incident in state.incidents] == ["fetch"]


def test_a_state_of_the_version_before_gives_way_to_a_newer_ledger(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Another user has collected since: what was open then was resolved."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        (run,) = world.slot(settings)
        world.slot(settings)
        folder = tmp_path / "data/a"
        (folder / "alerts.state").unlink()
        copy = AlertStateFile(alert_state_path("a", str(folder)))
        with copy.held():
            copy.save(AlertState(run.slot, (incident("fetch", run.slot),)))
        world.slot(settings)
        world.slot(settings)
    assert mailserver.subjects() == []


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_state_that_root_has_made_belongs_to_the_owner(tmp_path: Path) -> None:
    """After one `sudo bikecollect fetch` cron's user can still write it."""
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / ".bikecollect").touch()
    os.chown(folder, 12345, 12345)
    state = SystemAlertState(folder, tmp_path / "copy")

    with state.held():
        state.save(AlertState())

    assert (folder / "alerts.state").stat().st_uid == 12345


def test_a_damaged_state_is_replaced_by_the_copy(tmp_path: Path) -> None:
    """A power cut may leave half of a write."""
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / ".bikecollect").touch()
    state = SystemAlertState(folder, tmp_path / "copy")
    with state.held():
        state.save(AlertState(Slot(300), (incident("fetch", 300),)))
    path = folder / "alerts.state"
    path.write_bytes(path.read_bytes()[:40].ljust(65_536))

    with state.held():
        loaded = state.load()

    assert loaded is not None
    assert [incident.kind for incident in loaded.incidents] == ["fetch"]


def test_a_moved_system_keeps_its_incidents(tmp_path: Path) -> None:
    """They are in its folder: on another machine they are still open."""
    world = World(tmp_path / "data", "a")
    with world.served() as settings:
        world.slot(settings)
        world.slot(settings, up=False)
        folder = settings.system_folder("a")
    moved = SystemFolder("a", tmp_path / "elsewhere/a", folder.zone, folder.interval)
    shutil.copytree(folder.path, moved.path)

    assert [incident.kind for incident in stored_incidents(moved)] == ["fetch"]


def test_a_killed_run_of_a_slot_that_was_reported_is_no_news(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Another run has collected its slot meanwhile."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        (run,) = world.slot(settings)
        killed = replace(run, run_id="0badcafe", finished=None, result=Result())
        note = f"payloads/inbox/{stamp(run.slot)}.0badcafe.run"
        (tmp_path / "data/a" / note).write_text(killed.to_json(), encoding="utf-8")
        world.slot(settings)
    assert mailserver.subjects() == []


def content(folder: Path) -> dict[Path, bytes]:
    """Return the files in *folder*, with their bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.mark.parametrize("is_named", [True, False], ids=["named", "earlier version"])
def test_two_folders_that_were_exchanged_are_refused_and_unchanged(
    tmp_path: Path, mailserver: MailServer, *, is_named: bool
) -> None:
    """Until each is back; the slots since then are gaps of that cause.

    A marker of an earlier version has no name; the next run adds it.
    """
    world = World(tmp_path / "data", "a", "b", mail=mailserver.settings())
    first, second = (world.folder / name for name in "ab")

    def exchange() -> None:
        first.rename(tmp_path / "t")
        second.rename(first)
        (tmp_path / "t").rename(second)

    with world.served() as settings, mailserver.up():
        world.slot(settings)
        if not is_named:
            for folder in (first, second):
                (folder / MARKER).write_bytes(marker.MARK)
        world.slot(settings)
        exchange()
        before = content(world.folder)
        for _ in range(3):
            runs = world.slot(settings)
            assert {(r.exit_code, r.cause) for r in runs} == {(78, "folder")}
        assert content(world.folder) == before
        system = settings.system_folder("a")
        noted = stored_incidents(system)
        health = survey(system, now=world.clock.now, noted=noted).health
        text = verdict(health, system.zone).text
        assert text == "late and wrong folder since 00:15"  # no data is damaged
        exchange()
        for _ in range(3):
            world.slot(settings)

    assert mailserver.subjects() == [
        "a and 1 more: wrong folder since 00:15",
        "a and 1 more: resolved: "
        "wrong folder 00:15 to 00:30, 6 slots lost in 2 systems",
    ]
    text = mailserver.mails()[0].get_content()
    assert f"{first} has the data of another system, b, as its file" in text
    assert f"echo 'system: a' >> {first}/.bikecollect" in text
    assert "Last good" not in text  # it is in the right folder
    for name in "ab":
        system, end = settings.system_folder(name), Slot(int(world.clock.now))
        rows = slot_rows(system, BEGIN_SLOT, end, clock=world.clock)
        assert [row[4] for row in rows if row[4]] == ["folder"] * 3


def test_a_history_that_was_begun_anew_has_missed_no_slots(tmp_path: Path) -> None:
    """The user's copy of the state still knows the newest slot of the earlier one.

    That the earlier history is gone is reported.
    """
    world = World(tmp_path / "data", "a", "b", tell={"webhook": "http://127.0.0.1:1"})
    with world.served() as settings:
        world.slot(settings)
        shutil.rmtree(world.folder / "a")
        world.slot(settings, skip=12)

    first, second = (settings.system_folder(name) for name in "ab")
    (incident,) = stored_incidents(first)
    assert (incident.kind, incident.is_open) == ("lost", True)
    assert incident.text.startswith(f"{world.folder}/a was gone on ")
    assert [i.kind for i in stored_incidents(second)] == ["missed"]


def test_a_loss_of_all_data_is_mailed_until_it_is_accepted_or_undone(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Although other damage was mailed just before; `status` and coverage say so."""
    world = World(tmp_path / "data", "a", "b", mail=mailserver.settings())
    first, second = (world.folder / name for name in "ab")
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        world.slot(settings)
        for name in "ab":
            (file,) = (world.folder / name / "station_status").iterdir()
            file.write_bytes(file.read_bytes().replace(b"2026-", b"2027-"))
        world.slot(settings)
        for folder in (first, second):
            folder.rename(folder.with_suffix(".away"))
        world.slot(settings)
        world.slot(settings)
        (mail,) = (m for m in mailserver.mails() if "all data gone" in m["Subject"])
        damaged = [damage(settings, name) for name in "ab"]
        first.rename(tmp_path / "new")
        first.with_suffix(".away").rename(first)
        times = Times(world.clock, world.clock, Stop())
        forget(settings, "b", times, "earlier-data", "")
        world.slot(settings)

    assert mailserver.subjects() == [
        "a and 1 more: data file damaged 00:15 to 00:20",
        "a and 1 more: all data gone since 00:20",
        "a and 1 more: resolved: all data gone 00:20 to 00:30",
    ]
    assert "Slots lost  all until then" in mail.get_content()
    told = mail.get_content()
    place = f"{world.folder} had no folder of any system on "
    assert (told.count(place), told.count("  the same as for a")) == (1, 1)
    assert "bikecollect forget a earlier-data" in told
    assert "bikecollect forget b earlier-data" in told.partition("Next steps:")[2]
    last = mailserver.mails()[-1].get_content()
    assert "Slots lost" not in last  # they are back, or the loss was accepted
    steps = last.partition("To know more:")[2]
    assert "bikecollect verify a" in steps
    assert " mv " not in steps  # of the folder that is back
    assert "forget" not in steps
    assert [len(texts) for texts in damaged] == [1, 1]
    assert place in damaged[0][0]
    assert not [
        text for name in "ab" for text in damage(settings, name) if "gone" in text
    ]


def test_a_mail_of_an_earlier_version_is_sent(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """It waits in the state folder under the name of the system alone."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings:
        world.slot(settings)
        world.slot(settings, up=False)
        (waiting,) = settings.system_folder("a").outbox.glob("*.eml")
        earlier = state_home() / "outbox/a"
        earlier.mkdir(parents=True)
        waiting.rename(earlier / waiting.name)
        with mailserver.up():
            world.slot(settings)

    assert mailserver.subjects() == ["a: feed down since 00:10"]


def test_no_command_fills_the_mount_point_of_a_missing_disk(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Nor does `compact` call that success; its mail and the report wait elsewhere."""
    lines = [f"{k} = {json.dumps(v)}" for k, v in mailserver.settings().items()]
    path = tmp_path / "bikecollect.toml"
    feed = "http://127.0.0.1:9/"
    path.write_text(
        f'data_dir = "{tmp_path / "data"}"\n[systems.a]\nfeed = "youbike"\n'
        f'url = "{feed}"\ntimezone = "Asia/Taipei"\n[mail]\n' + "\n".join(lines),
        encoding="utf-8",
    )
    path.chmod(0o600)
    report = ("--config", path, "backfill-report", "--mail")
    early = bikecollect(*report)  # before the first fetch: no marker either
    assert not (tmp_path / "data/a").exists()
    prepare(tmp_path / "data/a")
    (tmp_path / "data/a").rename(tmp_path / "disk")
    (tmp_path / "data/a").mkdir()

    night = bikecollect("--config", path, "compact", "--quiet")
    week = bikecollect(*report)

    assert (night.returncode, week.returncode) == (78, 78)
    assert "is its disk mounted?" in night.stderr
    assert "is its disk mounted?" in week.stderr
    assert "waits in the outbox" in early.stderr
    assert list((tmp_path / "data/a").iterdir()) == []
    assert len(list(state_home().glob("outbox/a.*/*.eml"))) == 2


def collect_after_copy(
    world: World, settings: Settings, copy: Path, slots: int
) -> None:
    """Copy the folder of `a` to *copy* after a slot; *slots* of them follow."""
    world.slot(settings)
    shutil.copytree(world.folder / "a", copy)
    for _ in range(slots):
        world.slot(settings)


def fill(world: World, settings: Settings, copy: Path) -> None:
    """Fill the system `a` from *copy*, as `backfill --from` does."""
    times = Times(world.clock, world.clock, Stop())
    span = BEGIN_SLOT, Slot(BEGIN_SLOT + 9 * 300)
    filler = backfiller(settings, "a", times, span=span, dry=False)
    source = source_of(settings, "a", copy, (), "", now=world.clock())
    assert isinstance(source, FolderSource)
    loss = LossBefore(filler.system)
    fillings = list(filler.fill_from_source(source))
    take_over_runs(settings, "a", source, times, span)
    loss.end(fillings, source, world.clock())


def causes(world: World, settings: Settings) -> list[str]:
    """Return the causes of the missing slots of the system `a`."""
    span = BEGIN_SLOT, Slot(BEGIN_SLOT + 9 * 300)
    rows = slot_rows(settings.system_folder("a"), *span, clock=world.clock)
    return [row[4] for row in rows if row[4]]


@pytest.mark.parametrize("is_night", [False, True])
def test_an_older_copy_of_the_folder_is_told_until_it_is_filled(
    tmp_path: Path,
    mailserver: MailServer,
    caplog: pytest.LogCaptureFixture,
    *,
    is_night: bool,
) -> None:
    """Its lost slots were collected before. What the newer copy lacks is lost for good.

    The copy is put back during the last slot: a second run of that loses one less.
    `compact` may run first.
    """
    mirror = {"archive": {"mirror": "file:///mirror"}}
    world = World(tmp_path / "data", "a", mail=mailserver.settings(), **mirror)
    older, newer, own = tmp_path / "older", tmp_path / "newer", world.folder / "a"
    with world.served() as settings, mailserver.up():
        collect_after_copy(world, settings, older, 3)
        shutil.copytree(own, newer)
        for _ in range(2):
            world.slot(settings)
        copy = AlertStateFile(alert_state_path("a", str(own)))
        with copy.held():
            assert copy.save((copy.load() or AlertState())._replace(mail="down"))
        shutil.copytree(older, own, dirs_exist_ok=True)  # kept payloads remain
        state = SystemAlertState.of(settings.system_folder("a"))
        state.clear_mail_error()  # as `doctor --send` does; both leave it to the run
        state.note_lost(1)
        if is_night:
            times = Times(world.clock, world.clock, Stop())
            systems = [settings.system_folder("a")]
            run = Run(
                "night", "a", Slot(int(world.clock()) // 300 * 300), world.clock()
            )
            told = alerter(settings, systems, times, {})
            told.report_signals("archive", {"a": None}, run)
        world.run(settings)
        for _ in range(2):
            world.slot(settings)
        (mail,) = mailserver.mails()
        incidents = stored_incidents(settings.system_folder("a"))
        assert [(i.kind, i.lost) for i in incidents if i.is_open] == [("lost", 4)]
        (text,) = damage(settings, "a")
        before = causes(world, settings)
        fill(world, settings, newer)
        world.slot(settings)

    assert f"{own} was replaced by an older copy, which lacks the slots from" in text
    assert "2026-11-22 00:10 (+08:00) to 2026-11-22 00:25 (+08:00)" in text
    content = mail.get_content().replace("\r", "")
    assert content.startswith("To do: fill the slots since the copy")
    assert "Slots lost  4\n" in content
    assert (
        "bikecollect backfill a --from file:///mirror   # if that is lost, too"
        in content
    )
    assert mailserver.subjects() == [
        "a: older copy restored since 00:10",
        "a: resolved: older copy restored 00:10 to 00:30, 1 slot lost",
    ]
    ended = mailserver.mails()[-1].get_content()
    assert "nothing more, unless another copy has what is lost for good: 1" in ended
    assert (
        "a: data from before the loss are here again; still missing: 1" in caplog.text
    )
    assert before == ["older-folder"] * 4
    assert causes(world, settings) == ["older-folder"]
    assert damage(settings, "a") == []


def test_an_older_file_of_the_alerts_has_lost_no_slots(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Those that it does not know are in the ledger, or its disk was not mounted.

    Nor has a folder whose ledger cannot be used: what that has is not known.
    """
    tell = {"mute": ["disk", "missed"]}
    world = World(tmp_path / "data", "a", mail=mailserver.settings(), tell=tell)
    own, state = world.folder / "a", world.folder / "a/alerts.state"
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        shutil.copy(state, tmp_path / "older")
        for _ in range(2):
            world.slot(settings)
        shutil.copy(tmp_path / "older", state)
        for _ in range(3):
            world.slot(settings)
        unread = OlderCopy(settings.system_folder("a"), AlertLedger(tmp_path))
        nothing = unread.note((BEGIN_SLOT, Slot(BEGIN_SLOT + 900)), Slot(10**10))
        assert causes(world, settings) == damage(settings, "a") == []
        own.rename(tmp_path / "disk")
        own.mkdir()
        for _ in range(2):
            world.slot(settings)
        own.rmdir()
        (tmp_path / "disk").rename(own)
        world.slot(settings)

    assert nothing is None
    assert mailserver.subjects() == []
    assert stored_incidents(settings.system_folder("a")) == ()
    assert damage(settings, "a") == []
    assert len(causes(world, settings)) == 2


def test_slots_that_were_filled_are_no_longer_lost(tmp_path: Path) -> None:
    """Another folder has three of the four that were missed at times.

    A run between them failed: its slot is lost by another incident.
    """
    world = World(tmp_path / "data", "a")
    own, older, newer = world.folder / "a", tmp_path / "older", tmp_path / "newer"
    with world.served() as settings:
        system = settings.system_folder("a")
        collect_after_copy(world, settings, older, 3)
        own.rename(newer)
        older.rename(own)
        alert_state_path("a", str(own)).unlink()  # else the older copy is told
        world.slot(settings)
        world.slot(settings, up=False)
        world.slot(settings, skip=1)
        (_, missed), lost = stored_incidents(system), list[tuple[str, int]]()
        for _ in range(2):
            fill(world, settings, newer)
            known = History("a", own).incidents(BEGIN_SLOT)
            lost += [(i.kind, i.lost) for i in (*stored_incidents(system), *known)]

    assert (missed.kind, missed.lost, missed.is_open) == ("missed", 4, True)
    assert lost == [("fetch", 1), ("missed", 1), ("missed", 1), ("fetch", 1)] * 2
    assert causes(world, settings) == ["http-503", "not-started"]


def test_what_the_copy_of_a_lost_folder_lacks_is_lost_with_it(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Cron did start these runs. Slots of before the copy, and since then, are here."""
    world = World(tmp_path / "data", "a", "b", mail=mailserver.settings())
    copy, own = tmp_path / "copy", world.folder / "a"
    with world.served() as settings, mailserver.up():
        collect_after_copy(world, settings, copy, 4)
        shutil.rmtree(own)
        world.slot(settings, skip=1)
        fill(world, settings, copy)
        world.slot(settings)
        lost = causes(world, settings)
        again = tmp_path / "again"
        own.rename(again)
        for _ in range(2):
            fill(world, settings, again)
        for name, text in ("0", b"damaged"), ("1", (again / LEDGER).read_bytes()):
            (again / LEDGERS / name).mkdir(parents=True)
            (again / LEDGERS / name / LEDGER).write_bytes(text)

    source = source_of(settings, "a", again, (), "", now=world.clock())
    assert isinstance(source, FolderSource)
    both = [row[0] for row in source.incidents()]
    assert len(both) == 2 * len(set(both)) > 0, "one ledger of three is damaged"
    assert lost == ["older-folder"] * 4 + ["not-started"]
    assert causes(world, settings) == lost, "the record of the loss is taken over"
    system = settings.system_folder("a")
    assert len(History("a", system.path).incidents(BEGIN_SLOT)) == 1
    last = mailserver.mails()[-1]
    assert last["Subject"].endswith(
        "resolved: all data gone 00:35 to 00:40, 4 slots lost"
    )
    assert "another copy has what is lost for good: 4 slots" in last.get_content()
    assert not [m for m in mailserver.mails() if "MIRROR" in m.get_content()]


@pytest.mark.parametrize(
    ("kind", "cause", "known"),
    [
        *(
            (kind, kind, [kind] * 3)
            for kind in ("disk", "folder", "ledger", "settings")
        ),
        ("ledger", "runs-lost", ["unknown"] * 2 + ["ledger"]),
        ("fetch", "dns", ["not-started"] * 3),
    ],
)
def test_slots_whose_runs_could_not_be_recorded_keep_their_cause(
    tmp_path: Path, kind: str, cause: str, known: list[str]
) -> None:
    """Also in a folder that is filled from this one: cron did start these runs."""
    world = World(tmp_path / "data", "a", "b")
    own, other = world.folder / "a", tmp_path / "other"
    first = Slot(BEGIN_SLOT + 600 + 600 * (cause == "runs-lost"))
    last = Slot(BEGIN_SLOT + 1200)
    incident = Incident("i-1", kind, first, last, last, slots=3, told=1)
    with world.served() as settings:
        world.slot(settings)
        world.slot(settings, skip=3)
        AlertLedger(own / LEDGER).save([incident._replace(causes={cause: 3})])
        before = causes(world, settings)
        own.rename(other)
        fill(world, settings, other)
        after = causes(world, settings)

    assert before == after == known


def test_the_cause_of_slots_that_a_backup_lacks_is_known_if_people_were_told_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was put in place of the lost folder, then filled from the one begun meanwhile.

    A new machine does not know what the lost one had collected.
    """
    world = World(tmp_path / "data", "a", "b")
    copy, own, aside = tmp_path / "copy", world.folder / "a", tmp_path / "aside"
    with world.served() as settings:
        collect_after_copy(world, settings, copy, 2)
        shutil.rmtree(own)
        world.slot(settings)
        own.rename(aside)
        shutil.copytree(copy, own)
        fill(world, settings, aside)
        world.slot(settings)
        known = causes(world, settings)
        shutil.rmtree(own)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "new"))
        fill(world, settings, copy)
        world.slot(settings, skip=1)

    assert known == ["older-folder"] * 2
    assert causes(world, settings) == ["unknown"] * 3 + ["not-started"] * 2


def _last_run(folder: Path, moment: float) -> None:
    os.utime(folder / "payloads/inbox", (moment, moment))


@pytest.mark.parametrize(
    ("decide", "is_told"),
    [
        (lambda _: None, True),
        (lambda folder: _last_run(folder, BEGIN + 5000), False),  # both are collected
        (lambda folder: _last_run(folder, BEGIN - 8 * DAY), False),  # surely meant
        (lambda folder: (folder / MARKER).write_text("stopped\n"), False),
        (shutil.rmtree, False),  # moved, or deleted
    ],
)
def test_a_new_history_whose_earlier_data_are_elsewhere_is_reported_once(
    tmp_path: Path,
    mailserver: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    decide: Callable[[Path], object],
    *,
    is_told: bool,
) -> None:
    """A wrong `data_dir` would hide all that was collected until then."""
    earlier = World(tmp_path / "bikes", "a")
    mail, tell = mailserver.settings(), {"mute": ["missed"]}
    world = World(tmp_path / "bikess", "a", "b", mail=mail, tell=tell)
    world.clock = earlier.clock
    folder, source = tmp_path / "bikes/a", str(tmp_path)
    with earlier.served() as old, world.served() as new, mailserver.up():
        before, settings = replace(old, source=source), replace(new, source=source)
        earlier.slot(before)
        _last_run(folder, world.clock())
        world.slot(settings)
        decide(folder)
        folders = [world.folder / "a", world.folder / "b"]
        now = world.clock()
        system_of = settings.system_folder
        texts = [t for _, t in new_histories(source, folders, system_of, now)]
        places = state_home() / "places"
        here, moved = places.read_text(), f"{tmp_path}/gone\t{folder.parent}\n"
        beyond = f"{here}/{'x' * 999}\t{folder.parent}\n"  # out of reach
        places.write_text(beyond)
        other = list(new_histories("/etc", folders, system_of, now))
        places.write_text(moved)
        assert is_told == any(new_histories("/etc", folders, system_of, now))
        places.write_text(moved + 100 * f"{tmp_path}/gone\t{tmp_path}\n")
        assert not any(new_histories("/etc", folders, system_of, now))
        known_folders.remember_place("/a\tb", tmp_path)
        assert "/a\tb" not in places.read_text()
        places.write_text(beyond)
        with monkeypatch.context() as network:
            (tmp_path / "mounts").write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
            network.setattr(entries, "MOUNTS", tmp_path / "mounts")
            assert not any(new_histories(source, folders, system_of, now))
        assert mailserver.subjects() == []
        world.slot(settings, skip=12)
        world.slot(settings, skip=12)
        back = list(new_histories(source, [folder], before.system_folder, now))

    subject = "a: collected into another folder 00:10 to 01:20"
    assert mailserver.subjects() == [subject] * is_told
    assert len(texts) == is_told
    assert back + other == []
    mails = [mail.get_content() for mail in mailserver.mails()]
    for text in texts + mails:
        words = " ".join(text.split())
        assert f"{folder} has the data until 2026-11-22 00:05 (+08:00)" in words
        assert f"backfill a --from {tmp_path}/bikess/a; to go on here" in words
