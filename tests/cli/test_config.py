"""``bikecollect config``, and the other ways to see which settings are in use."""

import errno
import json
import os
import stat
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from in_process import bikecollect
from syncs import noted_syncs

from bikecollect.archive.mirror.record import MirrorRecord
from bikecollect.core.errors import SettingsError
from bikecollect.setup import first_run, settings_file, time_zones
from bikecollect.setup import loader as config
from bikecollect.setup.time_zones import check_zone

TEXT = (
    'data_dir = "data"\n[systems.city]  # mine\nfeed = "gbfs"\n'
    'url = "https://me:hunter2@x.org/?size=1000&key=0123456789"\n'
    'timezone = "Europe/Oslo"\nheaders = {X-Api-Key = "ab", Accept = "text/x"}\n'
    '[mail]\nhost = "h"\nsender = "a@b.c"\nto = ["a@b.c"]\npassword_file = "secret"\n'
    '[tell]\ncommand = ["notify", "--token", "0123456789"]\n'
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a settings file with many secrets."""
    file = tmp_path / "my settings.toml"
    file.write_text(TEXT, encoding="utf-8")
    (tmp_path / "secret").write_text("swordfish\n", encoding="utf-8")
    for secret_file in (file, tmp_path / "secret"):
        secret_file.chmod(0o600)
    return file


def test_the_file_in_use_is_named(path: Path) -> None:
    """By config path, by the version with -v, by status and by the doctor."""
    outputs = [
        bikecollect("--config", path, "config", "path").stdout,
        bikecollect("--config", path, "--version", "-v").stdout,
        bikecollect("-v", "--version", BIKECOLLECT_CONFIG=str(path)).stdout,
        bikecollect("--config", path, "status").stdout,
        bikecollect("--config", path, "doctor", "--offline").stdout,
    ]

    assert outputs[0] == f"{path}\n"
    unwrapped = [line.replace("\n      ", " ") for line in outputs[1:]]
    assert all(f"settings: {path}" in line for line in unwrapped)
    assert bikecollect("--version").stdout.count("\n") == 1


def test_without_a_settings_file_path_ends_with_1() -> None:
    """Nothing on stdout that a script could take for a path."""
    process = bikecollect("config", "path")

    assert (process.returncode, process.stdout) == (1, "")
    assert "no settings file; using Taipei's YouBike" in process.stderr


def test_effective_settings_are_shown_without_secrets(path: Path) -> None:
    """As TOML or JSON, with the defaults marked."""
    shown = bikecollect("--config", path, "config", "show").stdout
    values = json.loads(
        bikecollect("--config", path, "config", "show", "--format", "json").stdout
    )
    city = values["systems"]["city"]

    for secret in ("hunter2", "0123456789", '"ab"', "swordfish"):
        assert secret not in shown + json.dumps(values)
    assert city["url"] == "https://***@x.org/?size=1000&key=***"
    assert city["headers"] == {"X-Api-Key": "***", "Accept": "text/x"}
    assert values["source"] == str(path)
    assert 'interval = "5min"  # default\n' in shown
    assert f'data_dir = "{path.parent}/data"\n' in shown


def test_every_key_is_described_without_the_docs() -> None:
    """As TOML, with its default: an installed program has no pages of its own."""
    text = bikecollect("config", "keys").stdout

    keys = tomllib.loads(text)
    assert keys["systems"]["NAME"]["columns"] == ["occupancy"]
    assert keys["keep"]["csv_days"] == 7
    assert "# IANA name of the time zone: for local days and the feed's stamps" in text
    assert "config keys" in first_run.HEAD


def test_a_check_reports_what_is_wrong(path: Path) -> None:
    """78 with the file and the key; otherwise a summary, and what has no effect."""
    good = bikecollect("--config", path, "config", "check")
    path.write_text(TEXT.replace("feed =", "fed ="), encoding="utf-8")
    bad = bikecollect("--config", path, "config", "check")

    assert good.returncode == 0
    assert good.stdout == (
        f"{path} is valid; systems: city\n"
        "Note: mail.password_file has no effect without mail.user; set mail.user, or "
        "remove it\n"
    )
    assert bad.returncode == 78
    assert f'{path}: unknown setting "systems.city.fed"' in bad.stderr


def editor(folder: Path, command: str) -> str:
    """Return an editor that runs the sed *command* on the file."""
    program = folder / "editor"
    program.write_text(f"#!/bin/sh\nsed -i '{command}' \"$1\"\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def test_an_edit_takes_the_file_s_place(path: Path) -> None:
    """Through a link too; owner, mode and the rest of the text are unchanged."""
    path.chmod(0o640)
    os.chown(path, -1, 100) if os.geteuid() == 0 else None
    link = path.with_name("link.toml")
    link.symlink_to(path.name)
    before = path.stat()

    process = bikecollect(
        *("--config", link, "config", "edit"),
        VISUAL=editor(path.parent, "s/Oslo/Paris/"),
    )

    assert process.returncode == 0
    assert path.read_text(encoding="utf-8") == TEXT.replace("Oslo", "Paris")
    assert link.is_symlink()
    about = path.stat()
    assert (about.st_uid, about.st_gid) == (before.st_uid, before.st_gid)
    assert stat.S_IMODE(about.st_mode) == 0o640


def test_a_mistake_is_never_saved(path: Path) -> None:
    """It is reported, and can be corrected at once; otherwise the file is unchanged."""
    wrong = editor(path.parent, "s/feed =/fed =/")
    refused = bikecollect(
        "--config", path, "config", "edit", answers="n\n", EDITOR=wrong
    )
    kept = path.read_text(encoding="utf-8")
    twice = editor(path.parent, "s/feed =/fed =/;t;s/fed =/feed =/;s/Oslo/Rome/")
    corrected = bikecollect(
        "--config", path, "config", "edit", answers="y\n", EDITOR=twice
    )

    assert "systems.city.fed" in refused.stdout
    assert (refused.returncode, kept) == (0, TEXT)
    assert "Saved" in corrected.stdout
    assert path.read_text(encoding="utf-8") == TEXT.replace("Oslo", "Rome")


@pytest.mark.parametrize(
    ("change", "left"), [("echo '# changed' >>", [f"{TEXT}# changed\n"]), ("rm", [])]
)
def test_an_edit_does_not_undo_a_change_meanwhile(
    path: Path, change: str, left: list[str]
) -> None:
    """A rename, for example: then the settings would have the old name again."""
    program = editor(path.parent, "s/Oslo/Rome/")
    with Path(program).open("a", encoding="utf-8") as script:
        script.write(f"{change} '{path}'\n")
    process = bikecollect("--config", path, "config", "edit", EDITOR=program)
    aside = path.with_name(f"{path.name}.edited")

    assert process.returncode == 78
    assert f"your text is in {aside}" in process.stderr
    assert [
        file.read_text(encoding="utf-8") for file in path.parent.glob(path.name)
    ] == left
    assert aside.read_text(encoding="utf-8") == TEXT.replace("Oslo", "Rome")
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600


def _saved_settings(folder: Path) -> Path:
    path = folder / "b.toml"
    settings_file.replace(path, TEXT)
    return path


def _saved_record(folder: Path) -> Path:
    record = MirrorRecord(folder, "city", "s3://x/y")
    record.save()
    return record.path


@pytest.mark.parametrize("save", [_saved_settings, _saved_record])
def test_what_a_killed_command_left_beside_a_file_is_removed(
    tmp_path: Path, save: Callable[[Path], Path]
) -> None:
    """It may be a copy of the settings, with their secrets."""
    path, dead = save(tmp_path), 4_194_305  # above the largest id of a process
    names = [f".{path.name}.{pid}.tmp" for pid in (dead, dead + 1, os.getppid(), "b")]
    for name, age in zip(names, (301, 0, 301, 301), strict=True):
        path.with_name(name).touch()
        os.utime(path.with_name(name), (time.time() - age,) * 2)

    save(tmp_path)

    left = {entry.name for entry in path.parent.glob(".*.tmp")}
    assert left == set(names[1:])


def test_without_a_file_there_is_nothing_to_edit() -> None:
    """78, and how to create one."""
    process = bikecollect("config", "edit", EDITOR="false")

    assert process.returncode == 78
    assert "bikecollect init" in process.stderr


def test_an_editor_that_cannot_be_started_is_named(path: Path) -> None:
    """Without $VISUAL and $EDITOR none is started where there is no terminal."""
    before = path.read_bytes()
    edit = ("--config", path, "config", "edit")
    missing = bikecollect(*edit, VISUAL="", EDITOR="nosuch")
    failed = bikecollect(*edit, VISUAL="false", EDITOR="")
    unattended = bikecollect(*edit, VISUAL="", EDITOR="")

    assert [p.returncode for p in (missing, failed, unattended)] == [64] * 3
    assert missing.stderr.startswith(
        "bikecollect: the editor nosuch cannot be started: No such file"
    )
    assert "$EDITOR" in missing.stderr
    assert "the editor false ended with an error; nothing was" in failed.stderr
    assert unattended.stderr.startswith("bikecollect: an editor requires a terminal")
    assert path.read_bytes() == before


def test_settings_without_a_system_stand_for_taipei_and_it_is_said(
    tmp_path: Path,
) -> None:
    """As after the only system was moved to other settings, to stop it."""
    path = tmp_path / "b.toml"
    path.write_text(f'data_dir = "{tmp_path}/data"\n', encoding="utf-8")

    process = bikecollect("--config", path, "runs")

    said = "has no system; using Taipei's YouBike, as [systems.youbike-taipei] does\n"
    assert process.stderr.startswith(f"bikecollect: {path} {said}")


def test_a_command_that_has_no_settings_says_so() -> None:
    """All commands but those that cron calls."""
    reported = bikecollect("runs")
    silent = [bikecollect("compact", "--quiet"), bikecollect("status", "--alert")]

    assert reported.stderr.startswith(
        "bikecollect: no settings file; using Taipei's YouBike"
    )
    assert [process.stderr for process in silent] == ["", ""]


@pytest.mark.parametrize(
    "data", [TEXT.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + TEXT.encode()]
)
def test_other_editors_files_are_read(path: Path, data: bytes) -> None:
    """With CR LF, and with a mark at the beginning."""
    path.write_bytes(data)

    assert list(config.load(str(path)).systems) == ["city"]


@pytest.mark.parametrize(
    ("encoding", "where"),
    [
        ("latin-1", "line 2 has the byte 0xe9"),
        ("utf-16", "it begins with its byte order mark"),
        ("utf-32", "looks like UTF-32 (it begins with its byte order mark)"),
        ("utf-16-le", "looks like UTF-16LE (every second byte is zero)"),
        ("utf-16-be", "looks like UTF-16BE (every second byte is zero)"),
    ],
)
def test_another_encoding_is_named(path: Path, encoding: str, where: str) -> None:
    """With the position, and a command that converts it."""
    text = TEXT.replace("# mine", "# Métropole")
    path.write_bytes(text.encode(encoding))

    process = bikecollect("--config", path, "config", "check")
    command = process.stderr.partition("run: ")[2]
    os.system(command)
    corrected = bikecollect("--config", path, "config", "check")

    assert process.returncode == 78
    assert where in process.stderr
    assert corrected.returncode == 0
    assert path.read_text(encoding="utf-8") == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_zero_bytes_of_a_power_failure_are_named(path: Path) -> None:
    """They are no other encoding (fault 62)."""
    path.write_bytes(TEXT.encode() + bytes(2_000))

    process = bikecollect("--config", path, "config", "check")

    line = TEXT.count("\n") + 1
    assert f"{path} is damaged: line {line} has zero bytes" in process.stderr
    assert process.returncode == 78


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-32"])
def test_another_encoding_is_reported_by_mail(path: Path, encoding: str) -> None:
    """The mail address is readable in each."""
    path.write_bytes(TEXT.replace("# mine", "# Métropole").encode(encoding))

    ways = config.read_alert_settings(str(path))

    assert ways is not None
    assert ways.mail.to == ["a@b.c"]


def test_the_error_for_a_system_called_archive_has_the_reason(path: Path) -> None:
    """Its letters are valid, but the folder is reserved."""
    path.write_text(TEXT.replace("systems.city", "systems.archive"), encoding="utf-8")

    process = bikecollect("--config", path, "config", "check")

    assert process.returncode == 78
    assert "is the folder of the archive" in process.stderr


BERGEN = (
    'data_dir = "data"\n[systems.bergen]\nfeed = "gbfs"\n'
    'url = "http://127.0.0.1:1/gbfs.json"\ntimezone = "Europe/Oslo"\n'
)


def test_a_mapped_feed_without_a_mapping_is_not_valid(tmp_path: Path) -> None:
    """Each of its fetches would end with the same error."""
    file = tmp_path / "b.toml"
    file.write_text(BERGEN.replace('"gbfs"', '"mapped"'), encoding="utf-8")

    process = bikecollect("--config", file, "config", "check")

    assert process.returncode == 78
    assert process.stderr == (
        f"bikecollect: {file}: systems.bergen: a mapped feed requires "
        "mapping.station_id and mapping.num_vehicles_available\n"
    )


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ('columns = ["weekda"]', 'columns: unknown derived column "weekda"; did you'),
        ('columns = ["hour", 3]', 'columns must contain only texts, not 3; write "3"'),
        ('columns = ["hour", []]', "columns must contain only texts, not a list"),
        ('columns = "hour"', "columns must be a list, not 'hour'; write [\"hour\"]"),
        ("mapping = {a = 3}", 'mapping must contain only texts, not a = 3; write "3"'),
        ("headers = {X-Api-Key = 3}", "texts, not X-Api-Key = a whole number"),
        ("oauth2 = {client_secret = 3}", "texts, not client_secret = a whole number"),
        ("only = {station_id = [3]}", 'list of strings, not 3; write "3"'),
    ],
)
def test_a_wrong_item_is_shown_with_file_and_key(
    tmp_path: Path, setting: str, problem: str
) -> None:
    """The value is that of the item, but never one that may be secret."""
    file = tmp_path / "b.toml"
    file.write_text(f"{BERGEN}{setting}\n", encoding="utf-8")

    process = bikecollect("--config", file, "config", "check")

    assert process.returncode == 78
    assert process.stderr.startswith(f"bikecollect: {file}: systems.bergen.")
    assert problem in process.stderr


def test_an_unknown_column_is_named_by_fetch_and_doctor(tmp_path: Path) -> None:
    """Fetch names the file and the key; the other checks of the doctor still run."""
    file = tmp_path / "b.toml"
    file.write_text(f'{BERGEN}columns = ["weekda"]\n', encoding="utf-8")

    fetched = bikecollect("--config", file, "fetch")
    checks = bikecollect("--config", file, "doctor", "--offline", "--format", "json")

    assert f"{file}: systems.bergen.columns: unknown derived" in fetched.stderr
    found = [json.loads(line) for line in checks.stdout.splitlines()]
    bad = [check for check in found if check["check"] == "bergen: columns"]
    assert [check["verdict"] for check in bad] == ["bad"]
    assert found[-1]["check"] == "mail"


@pytest.mark.parametrize("table", ["mail", "systems.bergen"])
def test_certificates_that_cannot_be_used_are_not_valid(
    tmp_path: Path, table: str
) -> None:
    """Neither the mail server nor the feed could be trusted by them."""
    file, bundle = tmp_path / "b.toml", tmp_path / "ca.pem"
    file.write_text(
        f'{BERGEN}[{table}]\nca_bundle = "ca.pem"\n'.replace(
            "[systems.bergen]\nca_", "ca_"
        ),
        encoding="utf-8",
    )

    missing = bikecollect("--config", file, "config", "check")
    bundle.touch(0o600)
    empty = bikecollect("--config", file, "config", "check")

    named = f"bikecollect: {file}: {table}.ca_bundle {bundle}: "
    assert missing.stderr == f"{named}No such file or directory\n"
    assert empty.stderr == f"{named}no valid certificate in it\n"
    assert missing.returncode == empty.returncode == 78


def test_the_default_system_of_an_empty_file_is_marked(tmp_path: Path) -> None:
    """A file without systems is valid, but the user did not choose this one."""
    file = tmp_path / "b.toml"
    file.touch()
    assert "youbike-taipei (default)\n" in _checked(file)
    file.write_text("[systems.youbike-taipei]\n", encoding="utf-8")
    assert "youbike-taipei\n" in _checked(file)


def _checked(file: Path) -> str:
    return bikecollect("--config", file, "config", "check").stdout


def test_all_errors_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    """A line for each wrong type or unknown key; then one for each invalid value."""
    file = tmp_path / "b.toml"
    file.write_text(
        "data_dir = 3\ninterval = '7min'\n[systems.a]\nfeed = 3\ncolumns = [7]\n"
        "timezone = 'Asia/Taipeh'\n[systems.b]\n"
        "[keep]\ncsv_days = 'x'\n",
        encoding="utf-8",
    )
    types = bikecollect("--config", file, "config", "check").stderr.splitlines()
    file.write_text(
        f"interval = '7min'\n{BERGEN}language = 'no'\n[systems.youbike-taipei]\n"
        "timezone = 'Taipei'\n[keep]\ncsv_days = -1\n",
        encoding="utf-8",
    )
    values = bikecollect("--config", file, "config", "check").stderr.splitlines()

    assert types == [
        f"bikecollect: {file}: 7 errors",
        "  data_dir must be a text, not 3",
        "  systems.a.feed must be a text, not 3",
        '  systems.a.columns must contain only texts, not 7; write "7"',
        "  systems.b.feed is missing, and the catalogue has no such system",
        "  keep.csv_days must be a whole number, not 'x'",
        '  interval = "7min" must be a number with s, min or h that divides a day, '
        'such as "5min"',
        '  systems.a.timezone: unknown time zone "Asia/Taipeh"; use an IANA name such '
        'as "Asia/Taipei"',
    ]
    assert values[0] == f"bikecollect: {file}: 3 errors"
    assert "7min" in values[1]
    assert values[2].startswith("  systems.youbike-taipei.timezone: unknown time zone")
    assert values[3:] == ["  keep.csv_days must not be negative"]


def test_errors_of_one_table_do_not_hide_each_other(tmp_path: Path) -> None:
    """Each was found only after the one before it had been corrected."""
    file = tmp_path / "b.toml"
    feed = 'feed = "mapped"\nurl = "x"\ntimezone = "Asia/Taipeh"\nversion = "z"\n'
    mapping = 'mapping = {station_id = "a", foo = "b", stamp_format = "%d.%m."}\n'
    mail = '[mail]\nhost = "h"\ndigest = "x"\nto = ["bad"]\n'
    file.write_text(
        f'[systems.a]\n{feed}max_body = "12"\n{mapping}{mail}'
        '[systems.b]\nfeed = "gbfs"\nurl = "https://x"\ntimezone = "UTC"\n'
        'fields = {foo = "x"}\nheaders = {"a b" = "c"}\n',
        encoding="utf-8",
    )
    first, *errors = bikecollect("--config", file, "config", "check").stderr.split("\n")
    file.write_text(f"wrong = 1\n{file.read_text(encoding='utf-8')}", encoding="utf-8")
    beside = bikecollect("--config", file, "config", "check").stderr

    assert first == f"bikecollect: {file}: 12 errors"
    assert [" ".join(error.split()[:4]) for error in errors] == [
        "systems.a.timezone: unknown time zone",
        "systems.a.version must be a",
        "systems.a.url is not an",
        'systems.a.max_body: "12" is not',
        'unknown column "foo" in',
        "systems.b.headers: 'a b' is",
        "mail.digest must be daily",
        "mail.sender is missing: it",
        'mail.to: "bad" is not',
        'systems.a: unknown column "foo"',
        "systems.a: a mapped feed",
        'systems.a: mapping.stamp_format = "%d.%m."',
        "",
    ]
    assert [error for error in errors if error not in beside] == []


def test_a_wrong_type_in_a_table_hides_only_what_may_follow_from_it(
    tmp_path: Path,
) -> None:
    """Recipients that are no list are not said to be missing; others are checked."""
    file = tmp_path / "b.toml"
    mail = '[mail]\nhost = "h"\nto = "a@b.org"\n'
    file.write_text(f"[app]\ntiles = 7\n{mail}after = 0\n", encoding="utf-8")
    _, *errors = bikecollect("--config", file, "config", "check").stderr.splitlines()

    assert [error.split()[0] for error in errors] == [
        "mail.to",
        "app.tiles",
        "mail.after",
    ]


def test_files_and_mappings_are_checked_together(tmp_path: Path) -> None:
    """Of several systems, too; the only error is told as before."""
    file = tmp_path / "b.toml"
    table = '[systems.{}]\nfeed = "mapped"\nurl = "https://x/"\ntimezone = "UTC"\n'
    mapped = table + 'mapping = {{station_id = "a"}}\n'
    file.write_text(mapped.format("a"), encoding="utf-8")
    one = bikecollect("--config", file, "config", "check").stderr
    text = mapped.format("a") + mapped.format("b") + 'columns = ["nope"]\n'
    file.write_text(f'{text}ca_bundle = "none.pem"\n', encoding="utf-8")
    several = bikecollect("--config", file, "config", "check").stderr.splitlines()

    lack = "a mapped feed requires mapping.num_vehicles_available"
    assert one == f"bikecollect: {file}: systems.a: {lack}\n"
    assert several[0] == "bikecollect: 4 errors"
    assert [lack in line for line in several].count(True) == 2
    assert ["none.pem" in line for line in several].count(True) == 1
    assert ["nope" in line for line in several].count(True) == 1


def test_a_time_zone_that_cannot_be_read_is_not_called_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mail would ask for another name, and give the same one as an example."""
    with pytest.raises(SettingsError, match='a: unknown time zone "Asia"'):
        check_zone("a", "Asia")
    error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    monkeypatch.setattr(time_zones, "ZoneInfo", Mock(side_effect=error))

    with pytest.raises(SettingsError, match='zone "Asia/Taipei": Too many open files'):
        check_zone("a", "Asia/Taipei")


def test_a_mistake_in_each_of_many_systems_does_not_fill_a_mail(tmp_path: Path) -> None:
    """Twenty errors are shown, and the number of the others."""
    file = tmp_path / "b.toml"
    tables = [f"[systems.s{number}]\nfeed = 3\n" for number in range(1_000)]
    file.write_text("".join(tables), encoding="utf-8")
    lines = bikecollect("--config", file, "config", "check").stderr.splitlines()

    assert lines[0] == f"bikecollect: {file}: 1000 errors"
    assert lines[20] == "  systems.s19.feed must be a text, not 3"
    assert lines[21:] == ["  and 980 more"]


def test_replaced_settings_are_durable_before_they_take_the_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power loss leaves the old file or the new one, never an empty one."""
    steps = noted_syncs(monkeypatch, "replace")

    settings_file.replace(path, "# new\n", path.stat())

    assert steps == ["sync", "rename", "sync folder"]
    assert path.read_text(encoding="utf-8") == "# new\n"
