"""Results are written completely, or the command fails with the reason."""

import errno
import json
import os
import shlex
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import limited
import pytest
from command import forked
from in_process import bikecollect
from templates import copied
from world import World, noon_of_last_month

from bikecollect.cli.output_file import is_stream, placed
from bikecollect.cli.publishing.dataset_folder import SUMS, placed_folder
from bikecollect.cli.sharing.folder import prepare
from bikecollect.reports.data_dictionary import PACKAGE
from bikecollect.storage.files import flock

if TYPE_CHECKING:
    import subprocess

pytest.importorskip("duckdb")

RESULTS = (
    "runs --since 2026-10-01",
    "status --format json",
    "verify",
    "backfill-report --format csv",
    "report availability --format csv",
    "report",
    "export",
    "query --format csv 'FROM slots'",
    "query 'SELECT 1 AS one'",
    "compact --format json",
    "backfill",
    "feeds",
    "--help",
)


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a world with a slot of one closed day."""
    world = World(folder / "city")
    (world.folder / ".bikecollect").touch()
    world.clock.now = noon_of_last_month()
    world.fetch({"a": 1})
    return world


def run(config: Path, line: str, stdout: int) -> "subprocess.CompletedProcess[str]":
    """Run the command *line* with its results going to *stdout*."""
    arguments = ["--config", str(config), *shlex.split(line)]
    return forked(arguments, "", os.environ, stdout=stdout)


@pytest.mark.parametrize("line", RESULTS)
def test_a_result_that_does_not_fit_on_the_disk_is_an_error(
    config: Path, line: str
) -> None:
    """Exit code 74, and the reason (fault 70)."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        process = run(config, line, full)
    finally:
        os.close(full)

    assert process.returncode == 74
    assert "cannot write the output: No space left on device" in process.stderr


@pytest.mark.parametrize("command", ["export", "query 'SELECT 1 AS one'"])
def test_parquet_that_does_not_fit_on_the_disk_is_the_same_error(
    config: Path, command: str
) -> None:
    """Not DuckDB's own text, which has the number of a descriptor in JSON."""
    process = answer(config, f"{command} --format parquet -o /dev/full")

    assert process.returncode == 74
    assert process.stderr == (
        "bikecollect: cannot write the output: No space left on device\n"
    )


@pytest.mark.parametrize(
    "command", ["export", "query 'SELECT 1 AS one'", "report availability"]
)
def test_parquet_is_not_printed(config: Path, command: str) -> None:
    """It is binary: whoever gives no file reads which option does."""
    process = answer(config, f"{command} --format parquet")

    assert (process.returncode, process.stdout) == (64, "")
    assert "goes to a file; give --output FILE.parquet" in process.stderr


@pytest.mark.parametrize("line", RESULTS)
def test_a_closed_pipe_is_no_error(config: Path, line: str) -> None:
    """As in a pipe to `head`: exit code 0, and no message."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        process = run(config, line, writer)
    finally:
        os.close(writer)

    assert (process.returncode, process.stderr) == (0, "")


def test_work_continues_when_its_output_is_lost(config: Path, world: World) -> None:
    """The day is archived though the message could not be written."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        run(config, "compact", full)
    finally:
        os.close(full)

    assert list((world.folder.parent / "archive").rglob("station_status/*/*/*.parquet"))


WRITERS = (
    ("status --format prometheus --output", "bikes.prom"),
    ("verify --certificates", "kept.jsonl"),
    ("backfill-report --format html -o", "page.html"),
    ("export -o", "rows.csv"),
    ("export -o", "rows.jsonl"),
    ("export -o", "rows.parquet"),
    ("query 'SELECT 1 AS one' -o", "one.csv"),
    ("query 'SELECT 1 AS one' -o", "one.parquet"),
)
writers = pytest.mark.parametrize(("line", "name"), WRITERS)


def answer(config: Path, line: str) -> "subprocess.CompletedProcess[str]":
    """Run the command *line*; its output is in the result."""
    return bikecollect("--config", config, *shlex.split(line))


@writers
def test_a_link_is_replaced_and_never_followed(
    config: Path, tmp_path: Path, line: str, name: str
) -> None:
    """Its creator does not choose which file is overwritten."""
    (tmp_path / "precious").write_text("mine", encoding="utf-8")
    path = tmp_path / name
    path.symlink_to("precious")

    process = answer(config, f"{line} {path}")

    assert (process.returncode, process.stderr) == (0, "")
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "mine"
    assert path.is_file()
    assert not path.is_symlink()
    assert path.stat().st_size > 0


@writers
def test_a_result_to_a_fifo_is_refused(
    config: Path, tmp_path: Path, line: str, name: str
) -> None:
    """It is not waited for; exit code 64, with the alternative."""
    os.mkfifo(tmp_path / name)

    process = answer(config, f"{line} {tmp_path / name}")

    assert process.returncode == 64
    assert "/dev/stdout" in process.stderr


def test_a_disk_that_is_full_names_the_file(tmp_path: Path) -> None:
    """The system names no file where the file is already open."""
    path = tmp_path / "rows.csv"

    with pytest.raises(OSError, match=r"rows\.csv"), placed(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_whose_permissions_are_fixed_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages and datasets can be written to FAT, and to a web folder of another user."""
    monkeypatch.setattr(Path, "chmod", Mock(side_effect=PermissionError))

    prepare(tmp_path / "pages", force=False)
    with placed_folder(tmp_path / "dataset", force=False) as aside:
        (aside / "file").touch()

    assert (tmp_path / "pages").is_dir()
    assert (tmp_path / "dataset" / "file").exists()


def test_a_dataset_that_a_signal_leaves_in_the_old_place_is_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between both renames of `publish --force` takes nothing away."""
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    for name in (PACKAGE, SUMS):
        (dataset / name).touch()
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.suffix == ".part":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), placed_folder(dataset, force=True):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]
    assert (dataset / SUMS).exists()


@writers
def test_a_result_that_fails_leaves_the_old_one(
    config: Path, tmp_path: Path, line: str, name: str
) -> None:
    """The file is unchanged, and no other is left."""
    path = tmp_path / name
    path.write_text("old", encoding="utf-8")
    path.chmod(0o604)
    good = answer(config, f"{line} {path}")
    new = path.read_bytes()
    first = {file.name for file in tmp_path.iterdir()}

    words = ["--config", str(config), *shlex.split(f"{line} {path}")]
    bad = forked(words, "", os.environ, program=limited.__file__)

    assert good.returncode == 0
    assert new != b"old"
    assert bad.returncode != 0
    assert path.read_bytes() == new
    assert {file.name for file in tmp_path.iterdir()} == first


def test_a_result_has_the_permissions_of_the_one_before(
    config: Path, tmp_path: Path
) -> None:
    """A new one has those of the umask; metrics can be read by all."""
    for name in ("old.csv", "old.prom"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o600)

    for name in ("old.csv", "new.csv"):
        answer(config, f"export -o {tmp_path / name}")
    answer(config, f"status --format prometheus --output {tmp_path / 'old.prom'}")

    modes = {path.name: oct(path.stat().st_mode) for path in tmp_path.glob("*.*")}
    assert modes["old.csv"] == "0o100600"
    assert modes["new.csv"] == "0o100640"
    assert modes["old.prom"] == "0o100644"


@pytest.mark.parametrize("stream", ["-", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_stream_can_be_named_as_output(config: Path, stream: str) -> None:
    """`-o -` prints the same as no `-o`, and creates no file."""
    plain = answer(config, "export")

    result = answer(config, f"export -o {stream}")

    assert result.returncode == 0
    assert result.stdout == plain.stdout
    assert not list(Path().iterdir())


def test_standard_output_is_recognised_by_its_name() -> None:
    """Not run as a command: as root, a bug would delete the machine's own link."""
    assert is_stream(Path("/dev/stdout"))
    assert is_stream(Path("/dev/null"))
    assert not is_stream(Path("/dev/shm"))


@pytest.mark.root
def test_a_device_is_not_replaced(config: Path, tmp_path: Path) -> None:
    """Root's `-o /dev/null` does not put a file in its place.

    The test makes its own devices: as root, a bug would replace the machine's.
    """
    devices = (("null", 3), ("full", 7))
    try:
        for name, minor in devices:
            mode = stat.S_IFCHR | 0o600
            os.mknod(tmp_path / name, mode, os.makedev(1, minor))
    except PermissionError:
        pytest.skip("only root makes devices")

    codes = [
        answer(config, f"export -o {tmp_path / name}").returncode for name, _ in devices
    ]

    assert codes == [0, 74]
    assert (tmp_path / "null").is_char_device()
    assert (tmp_path / "full").is_char_device()
    assert not list(tmp_path.glob("*.json"))


def test_files_of_a_killed_call_are_removed_by_the_next(
    config: Path, tmp_path: Path
) -> None:
    """But neither files in use nor those with a similar name."""
    left, fresh = tmp_path / ".rows.csv.0123abcd.part", tmp_path / ".rows.csv.f.part"
    for temporary in (left, fresh):
        temporary.touch()
        os.utime(temporary, (1, 1))

    answer(config, f"export -o {tmp_path / 'rows.csv'}")

    assert not left.exists()
    assert fresh.exists()


def test_the_next_call_removes_the_files_of_a_killed_one(
    config: Path, tmp_path: Path
) -> None:
    """A part with rows whose lock is free is removed; one in use is kept."""
    left, used, new = (tmp_path / f".rows.csv.{n * 8}.part" for n in "012")
    left.write_text("slot\n", encoding="utf-8")
    new.touch()
    with used.open("w", encoding="utf-8") as file:
        file.write("slot\n")
        file.flush()
        assert flock.try_lock(file.fileno())
        answer(config, f"export -o {tmp_path / 'rows.csv'}")

    assert not left.exists()
    assert used.exists()
    assert new.exists()


def test_no_folder_is_created(config: Path, tmp_path: Path) -> None:
    """A mistyped path is an error."""
    process = answer(config, f"export -o {tmp_path / 'no/such/rows.csv'}")

    assert process.returncode == 74
    assert "no such folder" in process.stderr
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "line",
    [
        "export -o rows.xls",
        "export -o rows.ods",
        "export -o rows.csv.gz",
        "export --format csv -o rows.json",
        "export --format csv -o rows.XLSX",
        "query 'SELECT 1' -o rows.ods",
        "query 'SELECT 1' --format csv -o rows.xlsx",
        "report hours --format csv -o rows.jsonl",
        "report hours --format json -o rows.xlsx",
        "backfill-report --format csv -o rows.xlsx",
    ],
)
def test_a_file_name_of_another_format_is_refused(config: Path, line: str) -> None:
    """No program opens a CSV called .xlsx; the error lists the other formats."""
    process = answer(config, line)

    assert process.returncode == 64
    assert ".csv" in process.stderr or "or leave out --format" in process.stderr
    listed = process.stderr.partition(", but ")[2].partition(";")[0]
    assert Path(line).suffix.lower() not in listed.split(", ")
    assert not list(Path().glob("rows*"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("report -o rows.csv", "-o requires the NAME of a report"),
        ("report --format csv", "--format csv requires the NAME of a report"),
        ("report hours --sql -o rows.csv", "-o writes the result of a report"),
        ("query 'SELECT 1' --format table -o rows.csv", "a table is for the screen"),
    ],
)
def test_only_the_result_of_a_report_goes_to_a_file(
    config: Path, line: str, words: str
) -> None:
    """The list of reports and the SQL are no tables; a table is cut for the screen."""
    process = answer(config, line)

    assert process.returncode == 64
    assert words in process.stderr
    assert not list(Path().glob("rows*"))


def test_the_gap_report_names_its_own_formats(config: Path) -> None:
    """It writes neither Parquet nor workbooks."""
    process = answer(config, "backfill-report -o rows.ods")

    assert "write .ods, but .txt, .csv, .json, .jsonl, .ndjson, .html" in process.stderr


@pytest.mark.parametrize(
    "line", ["export", "report hours", "query 'SELECT 1'", "backfill-report"]
)
def test_json_is_an_object_per_line_in_each_command(config: Path, line: str) -> None:
    """Whether the name of the file says it, or the option."""
    answer(config, f"{line} -o rows.json")
    answer(config, f"{line} --format json -o rows.jsonl")

    first, *_ = text = Path("rows.json").read_text("utf-8").splitlines()
    assert json.loads(first)
    assert text == Path("rows.jsonl").read_text("utf-8").splitlines()


def test_a_page_is_named_like_one(config: Path) -> None:
    """The format of the gap report follows the name of its file, too.

    Its text may have any name that is not one of another format.
    """
    answer(config, "backfill-report -o page.html")
    answer(config, "backfill-report -o gaps.md")
    refused = answer(config, "backfill-report -o gaps.parquet")
    document = answer(config, "backfill-report -o gaps.pdf")

    assert Path("page.html").read_text("utf-8").startswith("<!doctype html>")
    assert Path("gaps.md").read_text("utf-8").startswith("city: ")
    assert refused.returncode == 64
    assert "cannot write .parquet, but .txt, .csv" in refused.stderr
    assert document.returncode == 64
    assert "cannot write .pdf, but .txt, .csv" in document.stderr
    assert not Path("gaps.pdf").exists()


def test_the_format_of_a_query_follows_the_file_name(
    config: Path, tmp_path: Path
) -> None:
    """Like that of an export."""
    answer(config, f"query 'SELECT 1 AS one' -o {tmp_path / 'one.parquet'}")

    assert (tmp_path / "one.parquet").read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(
    "theirs",
    [
        '{"name": "theirs", "resources": []}',
        "[]",
        "not JSON",
        '{"name": "bikecollect-export", "resources": ["x"]}',
    ],
)
def test_a_foreign_data_package_is_not_overwritten(
    config: Path, tmp_path: Path, theirs: str
) -> None:
    """Ours is named after the exported file, and this is printed."""
    (tmp_path / "datapackage.json").write_text(theirs, encoding="utf-8")

    process = answer(config, f"export -o {tmp_path / 'rows.csv'}")

    assert process.returncode == 0
    assert "rows.csv.datapackage.json" in process.stderr
    assert (tmp_path / "datapackage.json").read_text(encoding="utf-8") == theirs
    mine = json.loads((tmp_path / "rows.csv.datapackage.json").read_bytes())
    assert [resource["path"] for resource in mine["resources"]] == ["rows.csv"]


def test_a_data_package_that_is_a_link_or_a_fifo_is_not_read(
    config: Path, tmp_path: Path
) -> None:
    """A link may lead elsewhere, a FIFO would block."""
    os.mkfifo(tmp_path / "datapackage.json")

    process = answer(config, f"export -o {tmp_path / 'rows.csv'}")

    assert process.returncode == 0
    assert (tmp_path / "datapackage.json").is_fifo()
    assert (tmp_path / "rows.csv.datapackage.json").exists()


AMID_WRITING = """
import os
from pathlib import Path
from bikecollect.__main__ import main

def end(*_):
    if not ended:
        ended.append(1)
        os.kill(os.getpid(), signum)

def unlink_amid_a_second(path, **how):
    if signum != 2:
        os.kill(os.getpid(), signum)
    unlink(path, **how)

ended, signum = [], int(os.environ["SIGNUM"])
unlink, Path.unlink, os.fsync = Path.unlink, unlink_amid_a_second, end
main()
"""


@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)],
)
def test_a_signal_leaves_nothing_half_written(
    world: World, config: Path, signum: int, code: int
) -> None:
    """Neither Ctrl-C nor `timeout` or a closed terminal, whose signals come twice."""
    assert world.folder.is_dir()
    program, folder = config.parent / "amid_writing.py", config.parent / "results"
    program.write_text(AMID_WRITING, encoding="utf-8")
    folder.mkdir()
    env = {**os.environ, "SIGNUM": f"{signum:d}"}
    for command, result in (("export", "rows.csv"), ("share", "public")):
        arguments = ["--config", str(config), command, "-o", str(folder / result)]
        ended = forked(arguments, "", env, program=str(program))

        said = f"bikecollect: interrupted: {folder / result}"
        assert ended.returncode == code
        assert ended.stderr.startswith(said)
        by = {143: f"bikecollect: ended by {signal.Signals(signum).name}\n"}
        assert ended.stderr.endswith("was not written\n\n" + by.get(code, ""))
        assert not list(folder.iterdir())


def test_a_result_from_before_is_unchanged_after_an_interruption(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says so; nothing is left beside it."""
    path = tmp_path / "rows.csv"
    path.write_text("mine", encoding="utf-8")

    with pytest.raises(KeyboardInterrupt), placed(path):
        raise KeyboardInterrupt

    assert path.read_text(encoding="utf-8") == "mine"
    assert [*tmp_path.iterdir()] == [path]
    assert f"interrupted: {path} is unchanged\n" in capsys.readouterr().err
