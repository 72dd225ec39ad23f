"""A data folder is never filled when it is not mounted."""

import errno
import os
import shlex
import shutil
import subprocess
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from small_disk import mounted, remount
from syncs import noted_syncs
from world import NOON, TAIPEI, World

from bikecollect.collect.reporting.run_lines import failure_line
from bikecollect.core.errors import ExitCode, Outcome, SettingsError, StorageError
from bikecollect.core.run import Run, payload_name
from bikecollect.core.slots import Slot
from bikecollect.setup.checks.machine import not_creatable
from bikecollect.setup.loader import parse
from bikecollect.setup.settings import Settings
from bikecollect.simulator.demo import Time
from bikecollect.storage import data_folder
from bikecollect.storage.csv_store import Store
from bikecollect.storage.files import entries, known_folders, losses, marker
from bikecollect.storage.files.durable import leave_reserve, unwritten
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.payload_store import Payloads
from bikecollect.storage.repair.rename import SystemRename
from bikecollect.wiring.collection import collect


def test_a_new_folder_is_created_and_marked(tmp_path: Path) -> None:
    """The first run creates its folder."""
    data_folder.prepare(tmp_path / "bikes" / "city")

    assert (tmp_path / "bikes/city/.bikecollect").exists()


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, r"run: .*install -d -o \S+ /.*[^y]$"),  # the city's parent
        (errno.EROFS, "mount the disk writable"),
    ],
)
def test_a_folder_that_cannot_be_created_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    """By the error of the system call."""

    def refuse(_: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(data_folder, "make_folder", refuse)

    with pytest.raises(StorageError, match=f"cannot create .*; {advice}"):
        data_folder.prepare(tmp_path / "city")


@pytest.mark.parametrize(
    ("kind", "warnings"), [("nfs4", 1), ("fuse.sshfs", 1), ("ext4", 0), ("tmpfs", 0)]
)
def test_the_first_run_warns_of_a_disk_of_a_server(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    warnings: int,
) -> None:
    """Once, and not again for another system or in later runs (fault 60)."""
    mounts = tmp_path / "mounts"
    place = str(tmp_path).replace(" ", "\\040")
    mounts.write_text(f"server:/bikes {place} {kind} rw 0 0\n", encoding="utf-8")
    monkeypatch.setattr(entries, "MOUNTS", mounts)
    for name in ("a", "b", "a"):
        data_folder.prepare(tmp_path / "bikes" / name)

    assert (
        caplog.messages
        == [
            f"the file system of {tmp_path} is {kind}: locks and syncs depend on its "
            "server; use a local disk (ext4, xfs, btrfs)"
        ]
        * warnings
    )


def test_a_mount_point_that_lost_its_disk_is_not_filled(tmp_path: Path) -> None:
    """An empty folder that had data before is rejected and stays empty (fault 57)."""
    data_folder.prepare(tmp_path / "bikes" / "city")
    shutil.rmtree(tmp_path / "bikes" / "city")

    with pytest.raises(SettingsError, match="mounted"):
        data_folder.prepare(tmp_path / "bikes" / "city")
    assert list((tmp_path / "bikes").iterdir()) == []


@pytest.mark.parametrize("name", ["bikes", "bikes/city"])
def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path, name: str) -> None:
    """The system's words name what would be in it."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()

    with pytest.raises(StorageError) as caught:
        data_folder.prepare(tmp_path / "bikes" / "city")
    assert str(caught.value).endswith(f"; {tmp_path / name} is a file: move it away")


@pytest.mark.parametrize("name", ["bikes", "bikes/city"])
def test_a_link_to_a_disk_that_is_not_mounted_is_no_obstacle_to_remove(
    tmp_path: Path, name: str
) -> None:
    """It leads nowhere until the disk is mounted."""
    city = tmp_path / "bikes" / "city"
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).symlink_to(tmp_path / "disk")

    with pytest.raises(SettingsError, match=r"is a link to .*: is its disk mounted\?"):
        data_folder.prepare(city)
    assert not_creatable(city) == (
        f"{tmp_path / name} is a link to {tmp_path / 'disk'}, which is missing",
        "mount its disk, or correct the link",
    )


def test_a_folder_whose_first_run_was_killed_is_registered_by_the_next(
    tmp_path: Path,
) -> None:
    """A marked folder that is not on the list is added (fault 57)."""
    data_folder.prepare(tmp_path / "bikes" / "city")
    (data_folder.state_home() / "folders").unlink()
    data_folder.prepare(tmp_path / "bikes" / "city")
    shutil.rmtree(tmp_path / "bikes" / "city")

    with pytest.raises(SettingsError, match="mounted"):
        data_folder.prepare(tmp_path / "bikes" / "city")


def test_a_folder_is_registered_once(tmp_path: Path) -> None:
    """The list of known folders does not grow with every run."""
    for _ in range(3):
        data_folder.prepare(tmp_path / "bikes" / "city")

    notes = (data_folder.state_home() / "folders").read_text(encoding="utf-8")
    assert notes == f"{tmp_path}/bikes/city\n"


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    """A folder with files and no marker is rejected."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()

    with pytest.raises(SettingsError, match="touch"):
        data_folder.prepare(tmp_path / "photos")


@pytest.mark.parametrize("lost", ["station_status", "payloads", "ledger.sqlite3"])
def test_a_folder_that_has_lost_more_than_its_marker_is_refused(
    tmp_path: Path, lost: str
) -> None:
    """With the rest of a system it is taken for that system's; else it may not be."""
    city = tmp_path / "city"
    for name in {"station_status", "payloads"} - {lost}:
        (city / name).mkdir(parents=True)
    if lost != "ledger.sqlite3":
        with closing(Ledger(city / "ledger.sqlite3")) as ledger:
            ledger.open()

    with pytest.raises(SettingsError, match="touch"):
        data_folder.prepare(city)


def test_names_that_differ_in_case_do_not_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that finds `Oslo` by the name `oslo`, or by any spelling."""
    data_folder.prepare(tmp_path / "oslo")
    (tmp_path / "OSLO").symlink_to("oslo")
    listed = [tmp_path / "Oslo"]
    monkeypatch.setattr(entries, "paths_in", lambda _: listed)

    with pytest.raises(SettingsError, match="is the folder of Oslo"):
        data_folder.prepare(tmp_path / "oslo")

    listed.append(tmp_path / "oslo")  # each has a folder
    data_folder.prepare(tmp_path / "oslo")


def test_a_disk_that_distinguishes_case_is_not_listed_for_each_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was: a call for a thousand systems began two seconds later."""
    data_folder.prepare(tmp_path / "oslo")
    listed: list[Path] = []
    monkeypatch.setattr(entries, "paths_in", listed.append)

    data_folder.prepare(tmp_path / "oslo")

    assert listed == []


def test_a_removed_folder_is_created_again(tmp_path: Path) -> None:
    """Removing the whole data folder means starting again."""
    data_folder.prepare(tmp_path / "bikes" / "city")
    shutil.rmtree(tmp_path / "bikes")
    data_folder.prepare(tmp_path / "bikes" / "city")

    assert (tmp_path / "bikes/city/.bikecollect").exists()


def collected(settings: Settings) -> list[Run]:
    """Collect at a time of its own: a busy machine has the whole interval, too."""
    clock = Time(NOON)
    return collect(settings, clock=clock, monotonic=clock, stop=clock)


def test_several_removed_folders_are_created_again(
    tmp_path: Path,
) -> None:
    """No system takes the others for unmounted."""
    data = {"data_dir": str(tmp_path / "bikes"), "archive": {"mirror": "s3://copy"}}
    system = {"feed": "youbike", "url": "http://127.0.0.1:9/", "timezone": "UTC"}
    settings = parse({**data, "systems": {f"city{n}": system for n in range(8)}})
    first = collected(settings)
    shutil.rmtree(tmp_path / "bikes")
    second = collected(settings)

    assert {run.cause for run in first + second} == {"connect"}
    lost = [n.text for run in second for n in run.notices if n.kind == "lost"]
    assert lost[0].startswith(f"{tmp_path}/bikes has none of the folders of 8 systems")
    assert "bikecollect backfill NAME --from s3://copy; or accept" in lost[0]
    assert lost[0].endswith("bikecollect forget city0 city1 city2 ... earlier-data")
    folders = [tmp_path / f"bikes/city{n}" for n in range(1, 8)]
    assert lost[1:] == [f"{folder} is gone, too: see city0" for folder in folders]


def test_a_system_s_folder_that_is_gone_is_begun_anew_and_reported(
    tmp_path: Path,
) -> None:
    """Once, and not for the old name of a renamed system."""
    system = {"feed": "youbike", "url": "http://127.0.0.1:9/", "timezone": "UTC"}
    systems = dict.fromkeys(("city", "town", "old"), system)
    data = {"data_dir": str(tmp_path / "bikes"), "archive": {"mirror": "s3://copy"}}
    settings = parse({**data, "systems": systems})
    collected(settings)
    shutil.rmtree(tmp_path / "bikes/city")
    SystemRename(tmp_path / "bikes", "old", "new").run(lambda: None)
    remembered = known_folders.known_folders()

    city, town, old = collected(settings)

    (notice,) = (notice for notice in city.notices if notice.kind == "lost")
    assert notice.text.startswith(f"{tmp_path}/bikes/city is gone, with all data")
    assert "bikecollect backfill city --from THE_NEW_ONE; or fill it" in notice.text
    assert "bikecollect backfill city --from s3://copy; or accept" in notice.text
    for run in (town, old, *collected(settings)):
        assert {notice.kind for notice in run.notices} == {"fetch"}
    added = known_folders.known_folders() - remembered
    assert added == {f"{tmp_path}/bikes/old"}
    # The root disk was replaced: only the archive knows that there was a town.
    shutil.rmtree(tmp_path / "bikes/town")
    known_folders.disregard(tmp_path / "bikes/town")
    archived = tmp_path / "bikes/archive/station_status/system_id=town"
    (archived / "date=2026-11-22").mkdir(parents=True)
    _, town, _ = collected(settings)
    assert "town is gone, with all data" in town.notices[0].text
    assert marker.lost_by(tmp_path / "bikes/town/.bikecollect") is not None


LEDGER, DAYS = "ledger.sqlite3", "station_status"


@pytest.mark.parametrize(
    ("lost", "archived", "is_loss"),
    [
        ((LEDGER, DAYS, "payloads"), False, True),
        ((LEDGER, DAYS), True, True),
        ((LEDGER, f"{DAYS}/2026-11-22.csv"), False, True),
        ((LEDGER, f"{DAYS}/2026-11-22.csv"), True, False),  # closed, and archived
        ((LEDGER,), False, False),  # it is rebuilt
        ((DAYS,), False, False),  # the ledger knows what is missing
        (("payloads",), False, False),
    ],
)
def test_a_folder_that_was_emptied_is_begun_anew(
    tmp_path: Path, lost: tuple[str, ...], *, archived: bool, is_loss: bool
) -> None:
    """Its marker knows that it had data; the next run tells of it, once."""
    folder = tmp_path / "city"
    data_folder.prepare(folder)
    for part in ("payloads", DAYS):
        (folder / part).mkdir()
    if archived:
        (tmp_path / "archive" / DAYS / "system_id=city").mkdir(parents=True)
    (folder / LEDGER).touch()
    data_folder.prepare(folder)
    begun = marker.lost_parts(folder)  # nothing had been collected
    (folder / DAYS / "2026-11-22.csv").touch()
    data_folder.prepare(folder)
    for part in lost:
        place = folder / part
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    gone = [known_folders.gone({"city": folder}, (), "")]
    data_folder.prepare(folder)
    gone.append(known_folders.gone({"city": folder}, (), ""))

    assert not begun
    assert ["city" in texts for texts in gone] == [is_loss, False]
    loss = losses.loss("city", folder / data_folder.MARKER, TAIPEI, "")
    assert (loss is not None) == is_loss
    assert marker.check_name(folder / data_folder.MARKER)


def test_a_folder_that_cannot_be_read_is_not_called_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user runs `status`: that says so, and ends with no error."""
    (tmp_path / data_folder.MARKER).write_bytes(b"holds: vehicles\n")
    place, stat = tmp_path / "vehicles", Path.stat

    def denied(path: Path, **words: bool) -> os.stat_result:
        if place in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **words)

    before = marker.lost_parts(tmp_path)
    monkeypatch.setattr(Path, "stat", denied)

    assert (before, marker.lost_parts(tmp_path)) == ({"vehicles"}, set())


def test_only_slots_of_before_a_loss_end_it(tmp_path: Path) -> None:
    """What is filled of the time since then says nothing about the earlier data."""
    path = tmp_path / "marker"
    path.write_bytes(marker.MARK + marker.mark(1_000))

    assert marker.is_restored(path, [Slot(1_200), Slot(900)])
    assert not marker.is_restored(path, [Slot(1_000), Slot(1_200)])


@pytest.mark.parametrize("end", [b"", b"begun anew: 1000\n", b"no line end"])
def test_a_marker_of_an_earlier_version_gets_the_name_of_its_system(
    tmp_path: Path, end: bytes
) -> None:
    """All else in it stays; one that `touch` created becomes a whole one."""
    folder = tmp_path / "city"
    data_folder.prepare(folder)
    path = folder / data_folder.MARKER
    named = path.read_bytes()
    path.write_bytes(named.replace(b"system: city\n", end) if end else b"")
    data_folder.prepare(folder)
    data_folder.prepare(folder)

    parts = [marker.MARK, end.strip(), b"system: city\n"]
    assert path.read_bytes().split() == b"\n".join(parts).split()


def test_a_marker_that_cannot_be_written_waits_for_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk a run of an earlier version's folder goes on."""
    folder = tmp_path / "city"
    data_folder.prepare(folder)
    path = folder / data_folder.MARKER
    stopped = marker.MARK + b"stopped\n"
    path.write_bytes(stopped)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch:
        patch.setattr(marker, "write_file", Mock(side_effect=full))
        data_folder.prepare(folder)
        marker.go_on(path)
    before = path.read_bytes()
    data_folder.prepare(folder)
    marker.go_on(path)

    assert (before, path.read_bytes()) == (stopped, marker.text_of("city"))


def test_a_system_that_was_stopped_goes_on_with_the_next_fetch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its gaps count again; other commands, such as `backfill`, leave the mark."""
    system = {"feed": "youbike", "url": "http://127.0.0.1:9/", "timezone": "UTC"}
    values = {"data_dir": str(tmp_path), "systems": {"city": system}}
    folder = tmp_path / "city"
    data_folder.prepare(folder)
    path = folder / data_folder.MARKER
    path.write_bytes(path.read_bytes() + b"stopped\nbegun anew: 7\n")
    data_folder.prepare(folder)

    assert marker.is_stopped(path)
    collected(parse(values))
    assert path.read_bytes() == marker.text_of("city") + b"begun anew: 7\n"
    assert "city is collected again" in caplog.text


def test_a_folder_with_a_new_name_goes_on_with_the_line_of_the_message(
    tmp_path: Path,
) -> None:
    """`fetch` refuses it, and it stays unchanged, until its owner has added that."""
    folder = tmp_path / "city"
    data_folder.prepare(folder)
    folder = folder.rename(tmp_path / "town")

    with pytest.raises(SettingsError, match="of another system, city, ") as refused:
        data_folder.prepare(folder)
    line = str(refused.value).partition("was damaged: ")[2]
    subprocess.run(["sh", "-c", line], check=True)
    data_folder.prepare(folder)
    assert b"system: city" in (folder / data_folder.MARKER).read_bytes()


def test_what_several_older_copies_lack_is_noted_as_one_loss(tmp_path: Path) -> None:
    """A person may have written the last line of the marker, without its end."""
    path = tmp_path / data_folder.MARKER
    path.write_bytes(b"system: city")
    for first, last in ((600, 1200), (300, 900)):
        marker.note_older(path, Slot(first), Slot(last))

    assert marker.name_in(path) == "city"
    assert marker.lost_by(path) == marker.Lost(Slot(300), Slot(1201))
    assert [marker.is_restored(path, [Slot(n)]) for n in (0, 300, 1200, 1500)] == [
        *(False, True, True, False)
    ]


def test_a_place_is_gone_with_all_its_folders_and_has_only_its_own_systems(
    tmp_path: Path,
) -> None:
    """A folder that was begun anew by an earlier call is no other one that is gone."""
    alone, known = [str(tmp_path / "a")], [str(tmp_path / name) for name in "ab"]
    gone = partial(known_folders.is_place_gone, tmp_path / "a")
    before = [gone(alone, 0), gone(known, 0)]
    path = tmp_path / "b" / data_folder.MARKER
    (tmp_path / "b/payloads/inbox").mkdir(parents=True)
    path.write_bytes(marker.mark(100, is_place_gone=True))
    after = [gone(known, 101), gone(known, 1_000)]
    (tmp_path / "b/payloads/inbox/x.zip").touch()
    others = [known_folders.latest([path.parent])]
    path.write_bytes(marker.text_of("c"))  # folders were exchanged
    others.append(known_folders.latest([path.parent]))

    assert (before, after) == ([False, True], [True, False])
    assert [bool(other) for other in others] == [True, False]


MALLORY = 54_321
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
PARTS = [
    *("station_status", "payloads", "payloads/inbox", "payloads/rejected"),
    *("payloads/kept", "outbox"),
]


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """Return a system's folder with all its parts."""
    place = tmp_path / "bikes/my city"
    data_folder.prepare(place)
    for part in PARTS:
        (place / part).mkdir()
    return place


@only_root
@pytest.mark.parametrize("part", [".", *PARTS])
def test_a_folder_of_another_user_is_refused(city: Path, part: str) -> None:
    """Its owner decides what is committed; the error has the `chown`."""
    data_folder.prepare(city)
    os.chown(city / part, MALLORY, MALLORY)

    with pytest.raises(SettingsError) as caught:
        data_folder.prepare(city)
    assert "belongs to the user 54321" in str(caught.value)
    assert str(caught.value).endswith(f"; run: chown -R root '{city}'")


@pytest.mark.parametrize("part", ["..", ".", *PARTS])
@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_folder_that_others_may_write_to_is_refused(
    city: Path, part: str, mode: int
) -> None:
    """They could add payloads and mails; the error has the `chmod`."""
    (city / part).chmod(mode)

    with pytest.raises(SettingsError, match=r"run: chmod go-w '?/") as caught:
        data_folder.prepare(city)
    os.system(str(caught.value).rpartition("run: ")[2])
    data_folder.prepare(city)


def test_what_closes_a_folder_on_a_disk_of_windows_is_an_option_of_its_mount(
    city: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No `chmod` changes the mode of a file there; names in the table are escaped."""
    place = str(city.parent)
    mount = place.replace("\\", "\\134").replace(" ", "\\040")
    table = f"/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 {mount} vfat rw 0 0\n"
    (tmp_path / "mounts").write_text(table, encoding="utf-8")
    monkeypatch.setattr(entries, "MOUNTS", tmp_path / "mounts")
    city.chmod(0o777)

    with pytest.raises(SettingsError, match=r"run: (sudo )?sh -c ") as caught:
        data_folder.prepare(city)

    words = shlex.split(str(caught.value).rpartition("sh -c ")[2])[0]
    options = f"uid={os.geteuid()},umask=077"
    assert shlex.split(words.partition("&& ")[2]) == [
        *("mount", "-o", options, "/dev/sdb1", place)
    ]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_a_link_is_refused(
    city: Path, tmp_path: Path, part: str
) -> None:
    """Otherwise our files would be written, and pruned, at its target."""
    (tmp_path / "elsewhere").mkdir()
    (city / part).rename(city / "aside")
    (city / part).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SettingsError, match=f"is a link.*run: rm '{city / part}' "):
        data_folder.prepare(city)


def test_a_system_s_folder_may_lie_on_another_disk(city: Path, tmp_path: Path) -> None:
    """A link owned by the user is followed, and the target is checked."""
    city.rename(tmp_path / "disk")
    city.symlink_to(tmp_path / "disk")
    data_folder.prepare(city)
    (tmp_path / "disk").chmod(0o777)

    with pytest.raises(SettingsError, match="others may write"):
        data_folder.prepare(city)


@only_root
def test_a_link_of_another_user_is_refused(city: Path, tmp_path: Path) -> None:
    """Its owner could change the target."""
    city.rename(tmp_path / "disk")
    city.symlink_to(tmp_path / "disk")
    os.chown(city, MALLORY, MALLORY, follow_symlinks=False)

    with pytest.raises(SettingsError, match="belongs to the user 54321"):
        data_folder.prepare(city)


@only_root
def test_one_refused_folder_costs_no_other_system(tmp_path: Path) -> None:
    """Its run ends with 78 and the reason; the others are collected."""
    system = {"feed": "youbike", "url": "http://127.0.0.1:9/", "timezone": "UTC"}
    settings = parse(
        {
            "data_dir": str(tmp_path / "bikes"),
            "systems": {"a": system, "b": system},
        }
    )
    collected(settings)
    os.chown(tmp_path / "bikes/a", MALLORY, MALLORY)
    first, second = collected(settings)

    assert (first.exit_code, second.cause) == (78, "connect")
    assert "; run: chown -R root" in first.error


@only_root
def test_a_folder_of_root_s_is_trusted_but_must_be_writable() -> None:
    """A user who cannot write there is told whose data it is, and two ways."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        city = Path(place, "city")
        data_folder.prepare(city)
        child = os.fork()
        if child == 0:
            os.setuid(1)
            try:
                data_folder.prepare(city)
            except StorageError as error:
                ways = "it belongs to root: run this as root, or run as root: chown -R"
                # Where sudo is installed, it is named.
                text = str(error).replace("run: sudo ", "run as root: ")
                os._exit(0 if f"; {ways} " in text else 1)
            os._exit(2)
        _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_an_archive_that_others_may_write_to_is_refused(
    tmp_path: Path, mode: int
) -> None:
    """So is a link; a missing archive is created."""
    data_folder.check_archive(tmp_path)
    (tmp_path / "archive").mkdir()
    data_folder.check_archive(tmp_path)
    (tmp_path / "archive").chmod(mode)

    with pytest.raises(SettingsError, match="chmod go-w"):
        data_folder.check_archive(tmp_path)
    (tmp_path / "archive").rename(tmp_path / "aside")
    (tmp_path / "archive").symlink_to("aside")
    with pytest.raises(SettingsError, match="is a link"):
        data_folder.check_archive(tmp_path)


def test_a_deleted_marker_is_written_again(tmp_path: Path) -> None:
    """A ledger, daily files and payloads prove that the disk is mounted."""
    city = tmp_path / "bikes" / "city"
    data_folder.prepare(city)
    for part in ("station_status", "payloads"):
        (city / part).mkdir()
    (city / "ledger.sqlite3").write_bytes(b"SQLite format 3\0" + b"\0" * 84)
    (city / ".bikecollect").unlink()

    data_folder.prepare(city)

    assert (city / ".bikecollect").is_file()


def test_a_block_leaves_as_much_space_again_for_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its rows would be on the disk, and their commit would fail."""
    store, text, reserve = Store(tmp_path), b"x" * 999 + b"\n", 8 * 1024 * 1024
    disk = SimpleNamespace(f_files=0, f_blocks=1 << 30, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)

    disk.f_bavail = reserve + 2 * len(text) - 1
    with pytest.raises(StorageError, match="reserved for the ledger"):
        store.append("station_status/2026-11-22.csv", 0, b"", text)
    disk.f_bavail = 0
    with pytest.raises(StorageError, match="no space left on the disk"):
        store.append("station_status/2026-11-22.csv", 0, b"", text)
    disk.f_bavail = reserve + 2 * len(text)
    store.append("station_status/2026-11-22.csv", 0, b"", text)

    assert store.sizes() == {"station_status/2026-11-22.csv": len(text)}


def test_a_disk_without_inodes_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes may be free, so `df` alone would not explain it, and space not help."""
    disk = os.statvfs(tmp_path)
    few = SimpleNamespace(
        f_files=1000, f_favail=3, f_bavail=disk.f_bavail, f_frsize=disk.f_frsize
    )
    monkeypatch.setattr(os, "statvfs", lambda _: few)

    with pytest.raises(OSError, match="only 3 inodes left") as failed:
        leave_reserve(tmp_path, 100)

    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "x"))
    for text in (str(failed.value), str(error)):
        assert "free some space" not in str(unwritten(text, error))


def test_a_part_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead mount below a healthy folder is not called the folder."""
    folder = tmp_path / "city"
    data_folder.prepare(folder)
    part = folder / "payloads" / "kept"

    def fail(_: Path) -> None:
        text = "Transport endpoint is not connected"
        raise OSError(errno.ENOTCONN, text, str(part))

    monkeypatch.setattr(data_folder, "check", fail)

    with pytest.raises(StorageError, match=f"^cannot use {part}: Transport endpoint"):
        data_folder.prepare(folder)


def test_the_mark_of_lost_vehicles_is_durable_before_they_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut between both, the next run marks the loss again."""
    (tmp_path / ".bikecollect").write_bytes(
        marker.text_of(tmp_path.name) + b"holds: vehicles\n"
    )
    steps = noted_syncs(monkeypatch, "replace")

    marker.update(tmp_path / ".bikecollect", 0.0)

    assert "begun anew" in (tmp_path / "vehicles/.bikecollect").read_text("utf-8")
    assert marker.lost_parts(tmp_path) == set()
    marked = forgotten = "sync,rename,sync folder"
    assert ",".join(steps).endswith(f"{marked},{forgotten}")


def test_an_error_beside_an_open_ledger_names_its_own_path(tmp_path: Path) -> None:
    """A dead inbox is not reported as an unreadable ledger."""
    inbox = tmp_path / "payloads" / "inbox"
    text = "Transport endpoint is not connected"

    with (
        pytest.raises(StorageError, match=f"^cannot read {inbox}: Transport endpoint"),
        History("city", tmp_path).session(),
    ):
        raise OSError(errno.ENOTCONN, text, str(inbox))


def fetch_while_moved(
    world: World, monkeypatch: pytest.MonkeyPatch, part: type, step: str
) -> Run:
    """Fetch, with the folder moved away just before *step* of *part*.

    It is moved back afterwards.
    """
    do, moved = getattr(part, step), world.folder.with_name("moved")

    def move_first(*arguments: object) -> object:
        world.folder.rename(moved)
        return do(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(part, step, move_first)
        run = world.fetch({"a": 2}, after=300)
    assert not world.folder.exists()
    moved.rename(world.folder)
    return run


@pytest.mark.parametrize(("part", "step"), [(Store, "append"), (Payloads, "keep")])
def test_a_folder_that_is_moved_during_a_run_is_not_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type, step: str
) -> None:
    """Its ledger would have the block of a file that is in another place."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1})

    run = fetch_while_moved(world, monkeypatch, part, step)

    assert run.exit_code == ExitCode.IO
    world.fetch({"a": 3}, after=300)
    assert [row.split(",")[3] for row in world.lines()] == ["1", "2", "3"]
    assert world.agrees()


def test_a_payload_whose_folder_is_moved_away_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was called rejected, without a text; the next fetch committed it."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1})

    run = fetch_while_moved(world, monkeypatch, Payloads, "waiting")

    assert (run.outcome, run.exit_code) == (Outcome.DEFERRED, ExitCode.TEMPORARY)
    assert f"{payload_name(run)} is gone" in failure_line(run)
    world.fetch({"a": 3}, after=300)
    assert [row.split(",")[3] for row in world.lines()] == ["1", "2", "3"]
    assert world.agrees()


def test_a_payload_that_another_run_rejected_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text names the reason: it was empty."""
    world = World(tmp_path / "city")
    waiting = Payloads.waiting

    def reject_first(payloads: Payloads) -> list[str]:
        names = waiting(payloads)
        Payloads(world.folder / "payloads").reject(names[0], "no stations")
        return []

    monkeypatch.setattr(Payloads, "waiting", reject_first)
    run = world.fetch({"a": 1})

    assert (run.outcome, run.cause) == (Outcome.REJECTED, "shape")
    assert f"{payload_name(run)}.reason.txt" in run.error


def test_a_read_only_disk_is_not_reported_as_a_note_of_a_rename(tmp_path: Path) -> None:
    """There is none: "cannot use .renamed" was said of each folder not known yet."""
    with mounted(tmp_path / "disk") as disk:
        data_folder.prepare(disk / "city")
        known_folders.disregard(disk / "city")
        remount(disk, "ro")
        data_folder.prepare(disk / "city")
