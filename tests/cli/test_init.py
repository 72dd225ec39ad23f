"""``bikecollect init``: a valid file, with and without questions."""

import io
import os
import re
import smtpd
import stat
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from in_process import bikecollect
from mailserver import MailServer
from served import Answer, serving

from bikecollect.cli import cli
from bikecollect.cli.asking.system_questions import SystemQuestions
from bikecollect.setup import loader
from bikecollect.setup.catalogue import world
from bikecollect.setup.first_run import NewSystem, settings_text
from bikecollect.setup.settings import System
from bikecollect.setup.tables.sections import Mail
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

FILE = Path(".config/bikecollect/bikecollect.toml")
"""In the home of the test, which is also its current folder."""
GOOD = Answer(dialects.youbike(City(20), time.time()))
QUIET = ("init", "--yes", "--no-try")


def mode(path: Path) -> int:
    """Return the permissions of *path*."""
    return stat.S_IMODE(path.stat().st_mode)


def test_without_questions_the_file_loads() -> None:
    """Systems of the catalogue by id and by city, mail and folder, as given."""
    process = bikecollect(
        *(*QUIET, "--system", "youbike-taipei", "--system", "oslo"),
        *("--data-dir", "my data", "--mail", "me@example.org"),
        *("--mail-host", "smtp.example.org"),
    )
    settings = loader.load(str(FILE))

    assert (process.returncode, process.stderr) == (0, "")
    assert list(settings.systems) == ["youbike-taipei", "oslo-bysykkel"]
    assert settings.data == Path("my data").absolute()
    assert settings.mail.to == ["me@example.org"]
    assert settings.mail.sender == "me@example.org"
    assert (settings.mail.host, settings.mail.port) == ("smtp.example.org", 587)
    assert mode(FILE) & 0o027 == 0
    assert [path.name for path in Path().iterdir()] == [".config"]
    assert [path.name for path in FILE.parent.iterdir()] == ["bikecollect.toml"]


def test_an_address_is_tried_and_then_collected() -> None:
    """The settings have the result of the try, and fetch works with them."""
    with serving(lambda _: GOOD) as url:
        address = f"{url}/tiny.json?key=1"
        systems = ("--system", address, "--system", f"mine={address}")
        process = bikecollect("init", "--yes", *systems, "--data-dir", "data")
        fetched = bikecollect("fetch")
    settings = loader.load(str(FILE))

    assert process.returncode == 0
    assert "\ntiny: 20 stations" in process.stdout
    assert "\nmine: 20 stations" in process.stdout
    assert list(settings.systems) == ["tiny", "mine"]
    assert settings.systems["tiny"].feed == "youbike"
    assert settings.systems["tiny"].timezone == "Asia/Taipei"
    assert (fetched.returncode, fetched.stderr) == (0, "")
    assert len(list(Path("data/tiny/station_status").glob("*.csv"))) == 1
    assert mode(FILE) == 0o600  # the key


def test_a_failed_try_writes_nothing() -> None:
    """The feed's own exit code, and how to write anyway."""
    with serving(lambda _: Answer(b"", 404)) as url:
        process = bikecollect("init", "--yes", "--system", f"{url}/x.json")

    assert process.returncode == 69
    error, hint = process.stderr.splitlines()
    assert "answered HTTP 404" in error
    assert hint == "bikecollect: use --no-try to write it anyway"
    assert not FILE.exists()


@pytest.mark.parametrize("content", ["x\n", ""])
def test_a_password_file_that_cannot_be_used_writes_nothing(content: str) -> None:
    """Readable for others, or missing; also without any try."""
    if content:
        Path("pw").write_text(content, encoding="utf-8")
        Path("pw").chmod(0o644)
    mail = ("--mail", "me@example.org", "--mail-host", "localhost", "--mail-user", "me")

    process = bikecollect(*QUIET, *mail, "--mail-password-file", "pw")

    assert process.returncode == 78
    why = "others may read the secret" if content else "cannot read"
    assert f"mail.password_file: {why}" in process.stderr
    assert not FILE.exists()


def test_without_questions_the_mail_server_is_tried(tmp_path: Path) -> None:
    """Nothing is sent. A failure is named, as one of a feed, and writes nothing."""
    mailserver = MailServer.new(tmp_path / "mail")
    command = (
        *("init", "--yes", "--mail", "me@example.org", "--mail-host", "localhost"),
        *("--mail-port", str(mailserver.port), "--mail-user", smtpd.USER),
        *("--mail-password-file", mailserver.folder / "password", "--system"),
    )
    authority = str(mailserver.folder / "ca.pem")
    with serving(lambda _: GOOD) as url:
        system = f"tiny={url}/tiny.json"
        down = bikecollect(*command, system, SSL_CERT_FILE=authority)
        assert not FILE.exists()
        with mailserver.up():
            up = bikecollect(*command, system, SSL_CERT_FILE=authority)

    assert down.returncode == 78
    assert "mail: " in down.stderr
    assert "use --no-try to write it anyway" in down.stderr
    assert (up.returncode, up.stderr) == (0, "")
    assert mailserver.mails() == []
    assert FILE.exists()


def test_a_failed_try_may_be_overridden() -> None:
    """After `yes` the settings are derived from the address; the zone is asked for."""
    with serving(lambda _: Answer(b"", 404)) as url:
        answers = "y\nParis\nEurope/Paris\n\n\n"
        options = ("--system", f"{url}/tiny/gbfs.json")
        process = bikecollect("init", *options, "--no-cron", answers=answers)
    settings = loader.load(str(FILE))

    assert process.returncode == 0
    assert "answered HTTP 404" in process.stdout
    assert settings.systems["tiny"].feed == "gbfs"
    assert settings.systems["tiny"].timezone == "Europe/Paris"


def test_a_few_questions_are_enough() -> None:
    """City, mail, server, login, password, folder: the password is in its own file."""
    answers = [
        *("y", "atlantis", "Tapei", "a", "youbike-taipei", "Göteborg", ""),
        *("me@example.org", "smtp.example.org", "", "", "me", 's"e\\cret', "data"),
    ]
    process = bikecollect(
        "init", "--no-try", "--no-cron", answers="\n".join([*answers, ""])
    )
    settings = loader.load(str(FILE))
    secret = FILE.with_name("smtp-password")

    assert process.returncode == 0
    assert process.stdout.count("Enter a city, a name, or a feed's address.") == 1
    said = " ".join(process.stdout.split())
    assert '"atlantis" is not in the catalogue. Enter the address of its feed' in said
    assert "feeds update (in another terminal)" in said
    assert '"Tapei" is not in the catalogue. Did you mean: youbike-taipei ' in said
    assert 'Several systems match "a"; enter the id of one: youbike-taipei ' in said
    assert re.search(r"  and \d+ more: enter another word, too", process.stdout)
    assert list(settings.systems) == ["youbike-taipei", "styrstall-goteborg"]
    assert settings.mail.user == "me"
    assert settings.mail.password_file == str(secret.absolute())
    assert secret.read_text(encoding="utf-8") == 's"e\\cret\n'
    assert mode(secret) == 0o600
    assert (
        's"e' not in FILE.read_text(encoding="utf-8") + process.stdout + process.stderr
    )
    assert settings.data == Path("data").absolute()


def test_a_question_is_repeated_after_a_bad_answer() -> None:
    """With the reason; no other answer is lost."""
    Path("file").touch()
    answers = [
        *("", "", "me at example.org", "me@example.org", "smtp example", "smtp.x.org"),
        *(
            "ssl",
            "tls",
            "70000",
            "x",
            "",
            "me",
            "secret",
            "file/data",
            "$HOME/bikes",
            "/proc/bikes",
            "n",
            "data",
            "n",
        ),
    ]
    process = bikecollect("init", "--no-try", answers="\n".join([*answers, ""]))
    settings = loader.load(str(FILE))

    assert process.returncode == 0
    for complaint in (
        '"me at example.org" is not a mail address',
        '"smtp example" is not a server name',
        'unknown security "ssl"; known: starttls, tls, none',
        '"70000" is not a port',
        '"x" is not a port',
        "/file is a file, not a folder",
        "$HOME/bikes: $ is not replaced here: write ~, or the whole path",
        "/proc/bikes is not on a disk",
        "enter a folder, such as ~/bikes, or nothing for the one in brackets",
    ):
        assert complaint in process.stdout
    assert (settings.mail.security, settings.mail.port) == ("tls", 465)
    assert (settings.mail.user, settings.password()) == ("me", "secret")
    assert settings.data == Path("data").absolute()


def test_no_password_is_asked_for_without_tls() -> None:
    """Without TLS there is no login to another host."""
    answers = ["", "", "me@x.org", "smtp.x.org", "none", "", "me", "none", ""]
    process = bikecollect(
        "init", "--no-try", "--no-cron", answers="\n".join(answers) + "\n"
    )
    settings = loader.load(str(FILE))

    assert "unencrypted" in process.stdout
    assert (settings.mail.security, settings.mail.port) == ("none", 25)
    assert (settings.mail.user, settings.mail.password_file) == ("", "")


def test_an_answer_goes_back_to_the_question_before() -> None:
    """Also over the border of a group; earlier answers are the defaults."""
    answers = [
        *("", "", "<", "velib-paris", ""),  # from the mail address to the systems
        *("me@x.org", "wrong.x.org", "<", "right.x.org", "", "", ""),
        *("<", "", "", "", "", "", ""),  # from the folder to the mail, all as it was
    ]
    process = bikecollect(
        "init", "--no-try", "--no-cron", answers="\n".join(answers) + "\n"
    )
    settings = loader.load(str(FILE))

    assert process.returncode == 0
    assert list(settings.systems) == ["youbike-taipei", "velib-paris"]
    assert settings.mail.to == ["me@x.org"]
    assert settings.mail.host == "right.x.org"


def test_systems_of_one_name_get_different_names() -> None:
    """None is dropped silently: two addresses are two systems."""
    addresses = [f"https://{host}.org/tiny/gbfs.json" for host in ("a", "b", "c")]
    zone = ("--timezone", "Europe/Paris")
    words = [word for system_id in addresses for word in ("--system", system_id)]
    process = bikecollect(*QUIET, *zone, *words, "--system", f"mine={addresses[0]}")
    settings = loader.load(str(FILE))

    assert process.returncode == 0
    assert {name: system.url for name, system in settings.systems.items()} == {
        "tiny": addresses[0],
        "tiny-2": addresses[1],
        "tiny-3": addresses[2],
        "mine": addresses[0],
    }


def test_a_system_that_is_given_twice_is_reported() -> None:
    """It is collected once."""
    words = ("--system", "velib-paris", "--system", "velib-paris")
    process = bikecollect(*QUIET, *words)

    assert process.returncode == 0
    assert "velib-paris is given twice" in process.stderr
    assert list(loader.load(str(FILE)).systems) == ["velib-paris"]


def test_a_name_can_be_chosen() -> None:
    """In the call, also for one of the catalogue; at the terminal after a conflict."""
    process = bikecollect(*QUIET, "--system", "mine=velib-paris")
    mine = loader.load(str(FILE)).systems["mine"]
    answers = ["https://x.org/tiny.json", "a/b", "archive", "small", "", "", "", ""]
    prompted = bikecollect(
        *("init", "--force", "--no-try", "--no-cron"), answers="\n".join(answers)
    )

    assert process.returncode == 0
    assert (mine.feed, mine.timezone) == ("gbfs", "Europe/Paris")
    assert "a name is 1 to 100 letters (a to z)" in prompted.stdout
    assert "is the folder of the archive" in prompted.stdout
    assert list(loader.load(str(FILE)).systems) == ["small"]


@pytest.mark.parametrize("name", ["archive", ".hidden", "velib-paris"])
def test_an_invalid_name_is_reported(name: str) -> None:
    """64, and no file."""
    process = bikecollect(
        *(*QUIET, "--system", "velib-paris", "--system", f"{name}=youbike-taipei")
    )

    assert process.returncode == 64
    assert not FILE.exists()


@pytest.mark.parametrize("answer", ["n", "<"])
def test_no_to_a_failed_try_repeats_the_question(answer: str) -> None:
    """The user can give another system; going back does the same."""
    with serving(lambda path: GOOD if "tiny" in path else Answer(b"", 404)) as url:
        answers = [f"{url}/x.json", answer, f"{url}/tiny.json", "", "", "", ""]
        process = bikecollect("init", "--no-cron", answers="\n".join([*answers, ""]))

    assert process.returncode == 0
    assert "answered HTTP 404" in process.stdout
    assert list(loader.load(str(FILE)).systems) == ["tiny"]


def test_another_system_may_be_named_in_place_of_no() -> None:
    """As the question says; it is not asked for again."""
    with serving(lambda path: GOOD if "tiny" in path else Answer(b"", 404)) as url:
        answers = [f"{url}/x.json", f"{url}/tiny.json", "", "", "", ""]
        process = bikecollect("init", "--no-cron", answers="\n".join([*answers, ""]))

    assert process.returncode == 0
    assert list(loader.load(str(FILE)).systems) == ["tiny"]


def test_the_world_list_is_offered_for_an_unknown_city(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """And the city is looked for in it; another city may be named in place of no."""
    listed = tmp_path / "systems.csv"
    columns = "Country Code,Name,Location,System ID,URL,Auto-Discovery URL"
    row = "BE,Villo,Brussels,villo,https://villo.be,https://villo.be/gbfs.json"
    listed.write_text(f"{columns}\n{row}\n", encoding="utf-8")
    monkeypatch.setattr(world, "OFFICIAL", str(listed))
    monkeypatch.setattr(sys, "stdin", io.StringIO("Oslu\nn\nOslu\nBrxelles\ny\n"))

    with pytest.raises(click.UsageError, match="no terminal to answer"):
        SystemQuestions("", {}, attempt=True).ask(())

    said = " ".join(capsys.readouterr().out.split())
    assert "1 system " in said
    assert '"Brxelles" is not in the catalogue. Did you mean: villo Villo, ' in said
    assert "neither y" not in said


@pytest.fixture
def tiny() -> Iterator[str]:
    """Return the address of a feed of twenty stations."""
    with serving(lambda _: GOOD) as url:
        yield f"{url}/tiny.json"


@pytest.mark.parametrize(
    ("back", "asked"), [(["", "n"], 1), (["", "<"], 1), (["maybe", "<"], 0)]
)
def test_a_test_mail_is_offered(
    tmp_path: Path, tiny: str, back: list[str], asked: int
) -> None:
    """After a failure, or by <, answers can be corrected; earlier ones are defaults."""
    mail = MailServer.new(tmp_path / "mail")
    host, port = str(mail.settings()["host"]), str(mail.port)
    right = ["", "", "", "", "me", smtpd.PASSWORD, "", ""]
    answers = ["me@example.org", host, "", port, "me", "wrong", *back, *right]
    with mail.up():
        process = bikecollect(
            *("init", "--no-cron", "--system", tiny),
            answers="\n".join([*answers, ""]),
            SSL_CERT_FILE=str(mail.folder / "ca.pem"),
        )

    assert process.returncode == 0
    offers = process.stdout.count("Send a test mail to me@example.org now?")
    assert offers == (2 if asked else 3)
    assert process.stdout.count("Keep this anyway?") == asked
    assert "The mail server accepted it" in process.stdout
    assert mail.subjects() == ["test mail"]
    assert loader.load(str(FILE)).password() == smtpd.PASSWORD


def test_empty_answers_give_the_defaults() -> None:
    """Taipei, no mail, the user's data folder."""
    process = bikecollect("init", "--no-try", "--no-cron", answers="\n" * 4)
    settings = loader.load(str(FILE))

    assert process.returncode == 0
    assert list(settings.systems) == ["youbike-taipei"]
    assert settings.mail.host == ""
    assert settings.data == Path("~/.local/share/bikecollect").expanduser()


@pytest.mark.parametrize("answer", ["n", "No"])
def test_no_ends_the_list_of_systems(answer: str) -> None:
    """It is not searched for as a city: the next question is about mail."""
    answers = f"oslo-bysykkel\n{answer}\n\n\n\n"

    process = bikecollect("init", "--no-try", "--no-cron", answers=answers)

    assert process.returncode == 0
    assert "youbike-newtaipei" not in process.stdout
    assert list(loader.load(str(FILE)).systems) == ["oslo-bysykkel"]


def test_a_settings_file_is_not_overwritten() -> None:
    """78 before any question, unchanged; --force overwrites it."""
    FILE.parent.mkdir(parents=True)
    FILE.write_text('interval = "1min"\n', encoding="utf-8")

    refused = bikecollect("init", answers="")
    kept = FILE.read_text(encoding="utf-8")
    forced = bikecollect(*QUIET, "--force")

    assert refused.returncode == 78
    assert "--force" in refused.stderr
    assert kept == 'interval = "1min"\n'
    assert forced.returncode == 0
    assert loader.load(str(FILE)).seconds == 300


def test_the_option_config_sets_the_path_of_the_file() -> None:
    """Also in a folder that does not exist yet."""
    process = bikecollect("--config", "etc/bikes.toml", *QUIET)

    assert process.returncode == 0
    assert list(loader.load("etc/bikes.toml").systems) == ["youbike-taipei"]


def test_here_writes_to_the_current_folder() -> None:
    """That file is not read by default, and the required option is printed."""
    process = bikecollect(*QUIET, "--here")
    path = Path("bikecollect.toml").absolute()
    shown = bikecollect("status")

    assert process.returncode == 0
    assert "bikecollect --config bikecollect.toml fetch\n" in process.stdout
    assert f"bikecollect --config {path} status\n" in shown.stderr
    assert list(loader.load(str(path)).systems) == ["youbike-taipei"]


def test_the_variable_sets_the_path_of_the_file() -> None:
    """It is the file that the other commands will read."""
    process = bikecollect(*QUIET, BIKECOLLECT_CONFIG="etc/mine.toml")

    assert process.returncode == 0
    assert Path("etc/mine.toml").exists()


def test_no_file_is_written_where_others_could_change_it() -> None:
    """Every command would reject it afterwards."""
    Path("open").mkdir()
    Path("open").chmod(0o777)

    process = bikecollect("--config", "open/mine.toml", *QUIET)

    assert process.returncode == 78
    assert "others may write" in process.stderr
    assert not list(Path("open").iterdir())


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("$HOME/bikes", "$ is not replaced here: write ~, or the whole path"),
        ("/proc/bikes", "is not on a disk but in a file system of the kernel"),
    ],
)
def test_no_settings_are_written_for_an_impossible_folder(
    folder: str, words: str
) -> None:
    """The first slots would be lost."""
    process = bikecollect(*QUIET, "--data-dir", folder)

    assert process.returncode == 64
    assert words in process.stderr
    assert not FILE.exists()


def test_a_folder_that_others_must_create_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Below /srv only root may create it."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    result = CliRunner().invoke(cli, [*QUIET, "--data-dir", "data"], obj=None)
    place = Path("data").absolute()

    assert FILE.exists()
    text = "".join(result.output.split())  # wrapped, in the path too
    assert re.search(rf"nopermission.*;run.*install-d.*{place}", text)


def test_an_unwritable_folder_is_reported() -> None:
    """74 with the path, and no half-written file (fault 56)."""
    Path("etc").write_text("", encoding="utf-8")

    process = bikecollect("--config", "etc/bikes.toml", *QUIET)

    assert process.returncode == 74
    assert "etc/bikes.toml" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ((*QUIET, "--system", "atlantis"), 78, "bikecollect feeds"),
        ((*QUIET, "--system", "taipei"), 78, "did you mean youbike-taipei, "),
        ((*QUIET, "--system", "Tapei"), 78, "did you mean youbike-taipei, "),
        ((*QUIET, "--system", "x=https://x.org/gbfs.json"), 78, "time zone of x: "),
        ((*QUIET, "--mail", "me@example.org"), 64, "--mail-host"),
        ((*QUIET, "--mail-host", "smtp.example.org"), 64, "--mail"),
        (("init",), 64, "--yes"),
    ],
)
def test_wrong_or_missing_options_are_reported(
    arguments: tuple[str, ...], code: int, word: str
) -> None:
    """One line with the remedy, and no file."""
    process = bikecollect(*arguments)

    assert process.returncode == code
    assert word in process.stderr
    assert "Traceback" not in process.stderr
    assert not FILE.exists()


def test_the_cron_line_is_installed_on_request(tmp_path: Path) -> None:
    """The crontab program gets the line with the file's absolute path."""
    program, kept = tmp_path / "crontab", tmp_path / "kept"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = - ] && exec cat >{kept}\n'
        f'[ -e {kept} ] && exec cat {kept}\necho "no crontab for me" >&2; exit 1\n',
        encoding="utf-8",
    )
    program.chmod(0o755)

    process = bikecollect(*QUIET, "--cron", PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert "Installed in your crontab." in process.stdout
    next_commands = process.stdout.partition("Next:\n")[2].splitlines()
    assert [line.split()[-1] for line in next_commands] == ["fetch", "doctor"]
    text = kept.read_text(encoding="utf-8")
    assert f"--config {FILE.absolute()} fetch\n" in text


def test_answers_through_a_pipe_do_not_change_the_crontab(tmp_path: Path) -> None:
    """Only a terminal is asked: an empty answer would mean yes."""
    program, called = tmp_path / "crontab", tmp_path / "called"
    program.write_text(f"#!/bin/sh\ntouch {called}\n", encoding="utf-8")
    program.chmod(0o755)

    path = f"{tmp_path}:{os.environ['PATH']}"
    process = bikecollect("init", "--no-try", answers="\n" * 6, PATH=path)

    assert process.returncode == 0
    assert "schedule install" in process.stdout
    assert not called.exists()


@pytest.mark.parametrize(
    "odd", ["plain", 'q"uo\\te', "ö 漢字", "tab\tand\nline", "\x7f", "a.b"]
)
def test_any_text_is_written_and_read_back(odd: str) -> None:
    """Quotes, backslashes, control characters."""
    system = System(feed="gbfs", url="https://x", timezone="UTC")
    text = settings_text(
        [NewSystem("x.y", system, odd)],
        data_dir=odd,
        mail=Mail(to=[odd], host=odd, user=odd, password_file=odd, sender=odd),
    )
    values = tomllib.loads(text)

    assert values["data_dir"] == odd
    assert values["mail"]["to"] == [odd]
    assert (values["mail"]["user"], values["mail"]["sender"]) == (odd, odd)
    assert list(values["systems"]) == ["x.y"]
