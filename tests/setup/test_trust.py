"""Only files of the user or root are trusted: settings, code, passwords, CAs."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from in_process import bikecollect

from bikecollect.collect.derived_columns import chosen
from bikecollect.core.errors import SettingsError, UntrustedFile
from bikecollect.setup import first_run, loader
from bikecollect.storage.files import trusted_files

MALLORY = 54_321
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
CLOSED = (
    '[systems.city]\nfeed = "gbfs"\nurl = "http://127.0.0.1:9/"\ntimezone = "UTC"\n'
)


@pytest.fixture
def public() -> Iterator[Path]:
    """Return a folder that every user may enter, unlike those of tests."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def settings_file(folder: Path, text: str = CLOSED) -> Path:
    """Return a settings file in a separate folder."""
    folder.mkdir(mode=0o755)
    path = folder / "bikecollect.toml"
    path.write_text(text, encoding="utf-8")
    return path


def hostile(folder: Path, mark: Path) -> str:
    """Return settings that make the file *mark* by code and by command."""
    (folder / "evil.py").write_text(
        f"open({str(mark)!r}, 'w').close()\ndef f(row): return {{'x': 1}}\n",
        encoding="utf-8",
    )
    return (
        f'[tell]\ncommand = ["touch", "{mark}"]\n{CLOSED}columns = ["evil:f"]\n'
        'interval_ = "broken"\n'
    )


@pytest.mark.parametrize("command", ["fetch", "status", "config show"])
def test_absent_settings_name_the_command_that_writes_them(
    tmp_path: Path, command: str
) -> None:
    """With the same path: `init` writes what was named."""
    path = tmp_path / "none.toml"

    process = bikecollect("--config", path, *command.split())

    assert process.returncode == 78
    assert f"{path} does not exist; to write a settings file: " in process.stderr
    assert f"--config {path} init\n" in process.stderr


def test_the_current_folder_is_not_searched_for_settings() -> None:
    """A settings file in it is ignored, whoever owns it."""
    Path("bikecollect.toml").write_text("[systems.velib-paris]\n", encoding="utf-8")

    settings = loader.load(None)

    assert (list(settings.systems), settings.source) == (["youbike-taipei"], "")


def test_nothing_of_a_current_folder_s_file_runs(tmp_path: Path) -> None:
    """Neither its columns' code nor its command, though the file is broken."""
    here = tmp_path / "here"
    here.mkdir()
    text = hostile(here, tmp_path / "mark")
    (here / "bikecollect.toml").write_text(text, encoding="utf-8")

    for words in (["fetch", "no-such-system"], ["status"], ["doctor", "--offline"]):
        subprocess.run(
            [sys.executable, "-P", "-m", "bikecollect", *words],
            cwd=here,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            timeout=60,
            check=False,
        )

    assert not (tmp_path / "mark").exists()


def written_by_all(path: Path) -> None:
    """Let everybody write to the file."""
    path.chmod(0o666)


def written_by_a_group(path: Path) -> None:
    """Let a group with others in it write to the file."""
    path.chmod(0o664)
    os.chown(path, -1, 100)


def of_somebody_else(path: Path) -> None:
    """Change the owner of the file."""
    os.chown(path, MALLORY, MALLORY)


def in_a_folder_for_all(path: Path) -> None:
    """Let everybody write to its folder."""
    path.parent.chmod(0o777)


def in_a_sticky_folder(path: Path) -> None:
    """Let everybody put files beside it."""
    path.parent.chmod(0o1777)


def in_somebody_s_folder(path: Path) -> None:
    """Change the owner of its folder."""
    os.chown(path.parent, MALLORY, MALLORY)


def by_somebody_s_link(path: Path) -> None:
    """Let a link of another user lead to it."""
    real = path.rename(path.with_name("real.toml"))
    path.symlink_to(real)
    os.chown(path, MALLORY, MALLORY, follow_symlinks=False)


def by_a_link_into_a_folder_for_all(path: Path) -> None:
    """Let the link lead to a file in a folder where everybody may write."""
    path.parent.with_name("open").mkdir()
    real = path.rename(path.parent.with_name("open") / "real.toml")
    path.symlink_to(real)
    real.parent.chmod(0o777)


UNSAFE = [
    written_by_all,
    written_by_a_group,
    of_somebody_else,
    in_a_folder_for_all,
    in_a_sticky_folder,
    in_somebody_s_folder,
    by_somebody_s_link,
    by_a_link_into_a_folder_for_all,
]


@only_root
@pytest.mark.parametrize("spoil", UNSAFE)
def test_settings_that_others_may_change_are_refused(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Also when only the mail settings are read, to report that they are broken."""
    path = settings_file(tmp_path / "etc")
    path.write_text(hostile(path.parent, tmp_path / "mark"), encoding="utf-8")
    spoil(path)

    with pytest.raises(SettingsError, match=r"others may|belongs to"):
        loader.load(str(path))
    assert loader.read_alert_settings(str(path)) is None


@only_root
@pytest.mark.parametrize(
    "words",
    ["fetch", "status", "doctor --offline", "schedule show", "schedule install"],
)
def test_every_command_refuses_them(tmp_path: Path, words: str) -> None:
    """78 before anything else, in one line, and no code of the file has run."""
    path = settings_file(tmp_path / "etc")
    path.write_text(hostile(path.parent, tmp_path / "mark"), encoding="utf-8")
    of_somebody_else(path)

    process = bikecollect("--config", path, *words.split(), PATH="/usr/bin:/bin")

    assert process.returncode == 78
    assert "belongs to the user 54321" in process.stderr
    assert process.stderr.count("\n") == 1
    assert not (tmp_path / "mark").exists()


@only_root
def test_root_does_not_compact_the_days_of_another_user(tmp_path: Path) -> None:
    """The archive would be root's, and neither readable nor writable for that user."""
    data = f'data_dir = "{tmp_path}/data"\n'
    path = settings_file(tmp_path / "etc", data + CLOSED)
    (tmp_path / "data/city").mkdir(parents=True)
    (tmp_path / "data/city/.bikecollect").touch()
    os.chown(tmp_path / "data/city", MALLORY, MALLORY)

    process = bikecollect("--config", path, "compact")

    assert process.returncode == 78
    assert "city belongs to the user 54321: run bikecollect as 54321" in process.stderr
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["city"]


@only_root
def test_a_refusal_says_who_and_what_to_run(tmp_path: Path) -> None:
    """The owner, or the mode, and the command that fixes it."""
    path = settings_file(tmp_path / "my etc")
    path.chmod(0o666)
    with pytest.raises(SettingsError) as mode:
        loader.load(str(path))
    os.chown(path, MALLORY, MALLORY)
    with pytest.raises(SettingsError) as owner:
        loader.load(str(path))

    assert str(mode.value).endswith(
        f"(mode 0666); check its content, then run: chmod go-w '{path}'"
    )
    assert f"belongs to the user {MALLORY}" in str(owner.value)
    assert str(owner.value).endswith(f", run: chown root '{path}'")


@only_root
def test_root_s_settings_serve_every_user(public: Path) -> None:
    """A file below /etc is root's, and a service that is not root reads it."""
    path = settings_file(public / "etc")

    assert as_user(1, f"config.load({str(path)!r})") == ""


@only_root
def test_the_user_s_private_group_may_write(public: Path) -> None:
    """Many systems' umask allows it; a group with other members may not."""
    path = settings_file(public / "etc")
    for place in (path, path.parent):
        os.chown(place, 1, 1)
        place.chmod(0o775)
    own = as_user(1, f"config.load({str(path)!r})")
    os.chown(path, 1, 100)
    others = as_user(1, f"config.load({str(path)!r})")

    assert own == ""
    assert "others may write" in others


def as_user(uid: int, expression: str) -> str:
    """Return the error of *expression* for the user *uid*, or an empty text."""
    code = (
        "import grp, os, pwd, shlex, tomllib\n"  # while the interpreter can be read
        "from bikecollect.setup import loader as config\n"
        f"os.setgroups([]); os.setgid({uid}); os.setuid({uid})\n"
        f"try: {expression}\nexcept Exception as error: print(error)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, check=True
    )
    return process.stdout


def test_settings_that_are_no_file_do_not_hang(tmp_path: Path) -> None:
    """A FIFO without a writer, a device, a folder: each is named."""
    os.mkfifo(tmp_path / "fifo")
    messages = []
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        with pytest.raises(SettingsError) as caught:
            loader.load(str(path))
        messages.append(str(caught.value))

    assert "not a regular file" in messages[0]
    assert messages[1] == "/dev/zero is not a regular file"
    assert messages[2] == f"{tmp_path} is a folder, not a settings file"
    with pytest.raises(SettingsError, match="is a folder, not a settings file"):
        first_run.refuse_to_overwrite(tmp_path, force=True)


@pytest.mark.parametrize("value", ["etc", "./etc", ".", ""])
def test_a_relative_config_home_is_ignored(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its specification requires: it would be in the current folder."""
    Path("etc/bikecollect").mkdir(parents=True)
    Path("bikecollect").mkdir()
    for name in ("etc/bikecollect", "bikecollect"):
        Path(name, "bikecollect.toml").write_text(CLOSED, encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", value)

    assert loader.load(None).source == ""


def test_a_config_folder_that_cannot_be_entered_is_no_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the default city would be collected silently."""
    (tmp_path / "bikecollect").symlink_to(tmp_path / "bikecollect")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    with pytest.raises(SettingsError, match="cannot read"):
        loader.load(None)


MODULE = "def f(row):\n    return {'twice': 2}\n"


def unsafe_module(folder: Path) -> Path:
    """Return a module that everybody may write to."""
    (folder / "mine1.py").write_text(MODULE, encoding="utf-8")
    (folder / "mine1.py").chmod(0o666)
    return folder / "mine1.py"


def unsafe_package(folder: Path) -> Path:
    """Return a module in a package where everybody may put files."""
    (folder / "mine2").mkdir()
    (folder / "mine2/__init__.py").touch()
    (folder / "mine2/inner.py").write_text(MODULE, encoding="utf-8")
    (folder / "mine2").chmod(0o777)
    return folder / "mine2/inner.py"


def unsafe_cache(folder: Path) -> Path:
    """Return a module whose compiled form everybody may replace."""
    (folder / "mine3.py").write_text(MODULE, encoding="utf-8")
    (folder / "__pycache__").mkdir(exist_ok=True)
    (folder / "__pycache__").chmod(0o777)
    return folder / "mine3.py"


@pytest.mark.parametrize("make", [unsafe_module, unsafe_package, unsafe_cache])
def test_code_that_others_may_change_is_not_run(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    """The column is skipped with a notice; the run continues."""
    path = make(tmp_path)
    module = ".".join(path.relative_to(tmp_path).with_suffix("").parts)

    columns = chosen(["occupancy", f"{module}:f"], tmp_path)

    assert [column.names for column in columns.derived] == [("occupancy",)]
    assert "others may" in columns.troubles[0]
    assert module not in sys.modules


def password(path: Path, name: str) -> str:
    """Return the password that the settings at *path* read from *name*."""
    mail = 'host = "h"\nsender = "a@b.c"\nto = ["a@b.c"]\n'
    path.write_text(f'[mail]\n{mail}password_file = "{name}"\n', encoding="utf-8")
    return loader.load(str(path)).password()


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_secret_that_others_may_read_stops_each_command(
    tmp_path: Path, mode: int
) -> None:
    """One that cannot be read does not: only mails need it."""
    path = settings_file(tmp_path / "etc")
    secret = path.with_name("secret")
    with pytest.raises(SettingsError, match=r"mail\.password_file: cannot read"):
        password(path, "secret")
    assert loader.load(str(path)).mail_error

    secret.write_text("pass\n", encoding="utf-8")
    secret.chmod(mode)

    with pytest.raises(SettingsError, match=r"others may read .*chmod 600"):
        loader.load(str(path))


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END-----\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (KEY.encode(), "one line"),
        (b"one\rtwo", "one line"),
        (b"HOME=/root\0LANG=C", "one line"),
        (b"", "one line"),
        (b"\n", "one line"),
        (b"x" * 5_000, "more than 4096"),
        (b"\xe9t\xe9", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_password_is_never_sent(
    tmp_path: Path, data: bytes, message: str
) -> None:
    """A private key, an environment, a disk: no settings can mail them."""
    path = settings_file(tmp_path / "etc")
    path.with_name("secret").write_bytes(data)
    path.with_name("secret").chmod(0o600)

    with pytest.raises(SettingsError, match=f"mail.password_file: .*{message}"):
        password(path, "secret")


@pytest.mark.parametrize("name", ["fifo", "/dev/zero", "/dev/tty", "folder", "absent"])
def test_a_password_file_is_a_regular_file(tmp_path: Path, name: str) -> None:
    """A device or a FIFO is rejected immediately."""
    path = settings_file(tmp_path / "etc")
    os.mkfifo(path.with_name("fifo"))
    path.with_name("folder").mkdir()

    with pytest.raises(SettingsError, match=r"mail\.password_file") as caught:
        password(path, name)
    assert "chmod" not in str(caught.value)  # root's would break the machine


@only_root
def test_a_password_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Root could read it, and would send it."""
    path = settings_file(tmp_path / "etc")
    path.with_name("secret").write_text("theirs\n", encoding="utf-8")
    path.with_name("secret").chmod(0o600)
    os.chown(path.with_name("secret"), MALLORY, MALLORY)

    with pytest.raises(SettingsError, match="belongs to the user 54321"):
        password(path, "secret")


@pytest.mark.parametrize(
    "data", [b"pa ss\n", b"pa ss\r\n", b"\xef\xbb\xbfpa ss", b"pa ss"]
)
def test_a_password_is_read_without_its_line_end(tmp_path: Path, data: bytes) -> None:
    """Also through a link, and from an editor that adds a mark or CR LF."""
    path = settings_file(tmp_path / "etc")
    path.with_name("real").write_bytes(data)
    path.with_name("real").chmod(0o600)
    path.with_name("link").symlink_to("real")

    assert password(path, "link") == "pa ss"


def test_a_credential_is_a_bare_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path outside of the credentials' folder is checked like any file."""
    path = settings_file(tmp_path / "etc")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/smtp").write_text("of systemd\n", encoding="utf-8")
    (tmp_path / "other").write_text("readable for all\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))

    assert password(path, "smtp") == "of systemd"
    with pytest.raises(SettingsError, match="chmod 600"):
        password(path, "../other")


def test_ca_bundle_is_relative_to_the_settings(tmp_path: Path) -> None:
    """Not to the current folder; one that others can write to is rejected."""
    path = settings_file(tmp_path / "etc", CLOSED + 'ca_bundle = "ca.pem"\n')
    path.with_name("ca.pem").touch()
    Path("ca.pem").touch()
    bundle = loader.load(str(path)).systems["city"].ca_bundle
    path.with_name("ca.pem").chmod(0o666)

    assert bundle == str(path.with_name("ca.pem"))
    with pytest.raises(SettingsError, match=r"systems\.city\.ca_bundle: others may"):
        loader.load(str(path))


def test_a_command_is_relative_to_the_settings(tmp_path: Path) -> None:
    """A bare name is looked up on the path."""
    path = settings_file(tmp_path / "etc", '[tell]\ncommand = ["./notify", "-x"]\n')
    named = loader.load(str(path)).tell.command
    path.write_text('[tell]\ncommand = ["notify"]\n', encoding="utf-8")

    assert named == [str(path.parent / "notify"), "-x"]
    assert loader.load(str(path)).tell.command == ["notify"]


@only_root
def test_a_user_without_a_home_gets_the_required_option() -> None:
    """No home, no entry in the password file: one sentence, 78."""
    error = as_user(MALLORY, "os.environ.pop('HOME'); config.load(None).data")

    assert "set data_dir in the settings" in error


def test_a_missing_file_is_trusted(tmp_path: Path) -> None:
    """Other checks report that it is missing."""
    trusted_files.check_file(tmp_path / "absent")
    trusted_files.check_folder(tmp_path / "absent")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("/usr/bin/sudo", "run: sudo chown me '/a b'"),
        (None, "run as root: chown me '/a b'"),
    ],
)
def test_a_remedy_for_root_names_sudo_only_where_it_is(
    found: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root itself needs neither."""
    command = "chown me '/a b'"
    monkeypatch.setattr("shutil.which", lambda _: found)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    user = UntrustedFile("it is theirs", trusted_files.as_root(command))
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert str(user) == f"it is theirs; {told}"
    assert trusted_files.as_root(command) == command
