"""The settings: valid ones are read, errors are named."""

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from bikecollect.core.errors import SettingsError
from bikecollect.setup import loader
from bikecollect.setup.tables.sections import Keep

KEEP = [field.name for field in fields(Keep)]
EXAMPLE = """
data_dir = "/srv/bikes"
interval = "5min"

[systems.youbike-taipei]
feed = "youbike"
timezone = "Asia/Taipei"
columns = ["occupancy"]

[mail]
host = "smtp.example.org"
port = 587
security = "starttls"
user = "me"
password_file = "/etc/bikecollect/smtp-password"
sender = "bikes@example.org"
to = ["me@example.org"]

[ping]
url = "https://hc.example.org/uuid"

[keep]
payload_days = 7
csv_days = 7
"""


def test_the_whole_example_is_read() -> None:
    """Every key of the example is known, and the catalogue adds the address."""
    settings = loader.parse(tomllib.loads(EXAMPLE))

    assert settings.data == Path("/srv/bikes")
    assert settings.seconds == 300
    assert settings.systems["youbike-taipei"].url.startswith("https://")
    assert settings.mail.to == ["me@example.org"]
    assert settings.keep.payload_days == 7


def test_without_any_settings_taipei_is_collected() -> None:
    """No settings file is required."""
    settings = loader.load(None)

    assert list(settings.systems) == ["youbike-taipei"]
    assert settings.data == Path("~/.local/share/bikecollect").expanduser()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('intervall = "5min"', 'did you mean "interval"'),
        ('interval = "7min"', "divides a day"),
        ("interval = 5", "interval must be a text"),
        ("[systems.x]\nurl = 'https://x'", "systems.x.feed is missing"),
        ("[systems.youbike-taipie]", 'such system; did you mean "youbike-taipei"?'),
        ("[systems.x]\nfeed = 'gbsf'", 'systems.x: feed = "gbsf": choose one of'),
        ("[archive]\ncsv_days = 3", r'csv_days"; did you mean "keep.csv_days"\?'),
        ("url = 'https://x'", '"systems.NAME.url" or "ping.url"'),
        ("[keep]\nxyz = 3", f'"keep.xyz"; known: {", ".join(KEEP)}$'),
        ("[mail]\ninterval = '5min'", "interval belongs at the top of the file"),
        ("[systems.youbike-taipei]\nfeeed = 'x'", 'did you mean "feed"'),
        ("[systems.youbike-taipei]\nurl = 'ftp://x'", "http:// or https://"),
        ("[systems.youbike-taipei]\ntimezone = 'Taipei'", "IANA"),
        ("[systems.youbike-taipei]\ncolumns = 'occupancy'", "must be a list"),
        ("[mail]\nto = 7", r'not 7; write texts in brackets, such as \["a", "b"\]'),
        ("[mail]\nto = true", "must be a list, not true; write texts in brackets"),
        ("[systems.youbike-taipei]\nbbox = 7", r"numbers in brackets, such as \[121"),
        ("[systems.youbike-taipei]\nonly = 7", "not 7; write {key = value}"),
        ("[systems]\nyoubike-taipei = 7", r"with \[systems.youbike-taipei\]"),
        ("[systems]\nversion = '2.3'", r"begin it with \[systems.NAME\]"),
        ("[bergen]\nfeed = 'gbfs'", r"did you mean \[systems.bergen\]\?"),
        ("[systems.a.b]\nfeed = 'gbfs'", r'a dot, write \[systems."a.b"\]'),
        ("[systems.x]\nURL = 'https://x'", 'did you mean "url"'),
        ("[systems.youbike-taipei]\nversion = 2.3", 'not 2.3; write "2.3"$'),
        ("[systems.youbike-taipei]\nfeed = 3", "must be a text, not 3$"),
        ("interval = 00:05:00", "interval must be a text, not 00:05:00"),
        (r'data_dir = "a\u0000"', "data_dir must not have a zero byte"),
        ('[tell]\ncommand = ["a\\u0000"]', "tell.command must not have a zero byte"),
        ("mail = 7", r"mail must be a table, not 7; begin it with \[mail\]"),
        ("[[systems]]\nfeed = 'gbfs'", r"begin it with \[systems.NAME\]"),
        ("[systems.'../up']\nfeed = 'gbfs'", r"letters \(a to z\), digits"),
        ("[systems.'my city']\nfeed = 'gbfs'", r"letters \(a to z\), digits"),
        ("[mail]\ntimezone = 'UTC+1'", 'or "Etc/GMT-1" for UTC.1 all year'),
        ("[keep]\npayload_days = -1", "must not be negative"),
        ("[keep]\npayload_days = true", "a whole number"),
        ("[mail]\nport = 70000", "mail.port must be from 1 to 65535"),
        ("[mail]\nport = 0", "mail.port must be from 1 to 65535"),
        ("[mail]\nhost = 'smtp.x:25'", "its port is mail.port"),
        ("[mail]\nhost = 'https://smtp.x/'", "must be only the name of a server"),
        ("[mail]\nhost = '[::1]'", "or an address without brackets"),
        ("[mail]\nsecurity = 'ssl'", "starttls, tls or none"),
    ],
)
def test_a_wrong_value_is_named(text: str, message: str) -> None:
    """The error has the key and a valid value (fault 90)."""
    with pytest.raises(SettingsError, match=message):
        loader.parse(tomllib.loads(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = [", "Invalid value (at end of document)"),
        ('url = "https://x.org?key=1234\n', "is a quote missing?"),
        ('url = https://x.org?key=1234"\n', "is a quote missing?"),
        ("url = 'https://x.org?key=1234\nb = 'c'\n", "is a quote missing?"),
        ("b = 1\nurl = '1234\n", "is a quote missing in line 2?"),
        ('columns = ["1234, "hour"]\n', "is a quote missing?"),
        ("columns = [hour, weekday]\n", "is it a text without quotes?"),
        ("feed = \u201c1234\u201d\n", 'write straight quotes (")'),
        ("feed = youbike\n", "is it a text without quotes?"),
        ("interval = 5min\n", "is it a text without quotes?"),
        ("[systems.a]\n[b]\n[systems.a]\n", "table [systems.a] is there twice"),
        ('url = "1234"\nurl = "1234"\n', "the key is there twice in this table"),
        ("feed = \u201cgbfs\u201d\n", 'write straight quotes (")'),
        ("feed = \u2018gbfs\u2019\n", 'write straight quotes (")'),
        ('feed =\u00a0"gbfs"\n', "it has a no-break space (U+00A0)"),
        ('\ufeff\ufefffeed = "gbfs"\n', "it has a zero width no-break space (U+FEFF)"),
        ("[systems.z\u00fcrich]\n", "it has a latin small letter u with diaeresis"),
        ("data_dir = /srv/1234\n", "is it a text without quotes?"),
        ("data_dir = ~/1234\n", "is it a text without quotes?"),
        ("data_dir = $HOME/1234\n", "is it a text without quotes?"),
        ("vehicles = yes\n", ": write true"),
        ("vehicles=False # 1234\n", ": write false"),
        ("only = {a = On}\n", ": write true"),
        ("[systems.my city]\n", "digits, dashes: write [systems.my-city]"),
        ("[systems.Z\u00fcrich]\n", "digits, dashes: write [systems.zurich]"),
        ("; mine\n", "a comment begins with #"),
        ("feed: gbfs\n", 'write it as key = "value"'),
    ],
)
def test_a_file_that_is_no_toml_names_the_line(
    tmp_path: Path, text: str, words: str
) -> None:
    """A syntax error has its position, and what is probably wrong; no value."""
    path = tmp_path / "b.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)

    with pytest.raises(SettingsError, match=r"is not TOML.*at ") as caught:
        loader.load(str(path))
    assert words in str(caught.value)
    assert "1234" not in str(caught.value)


def test_brackets_without_end_are_no_bug(tmp_path: Path) -> None:
    """Python's parser recurses (fault 39); without a place, as it does not say one."""
    path = tmp_path / "b.toml"
    path.write_text(f"a = {'[' * 9_000}", encoding="utf-8")

    with pytest.raises(SettingsError, match="too many brackets inside each other"):
        loader.load(str(path))
    assert loader.read_alert_settings(str(path)) is None


def test_secrets_that_others_may_read_are_refused(tmp_path: Path) -> None:
    """A key in a file of mode 0644 ends the run, with the remedy (fault 91)."""
    path = tmp_path / "b.toml"
    path.write_text(
        '[systems.youbike-taipei]\nheaders = {X-Api-Key = "k"}', encoding="utf-8"
    )
    path.chmod(0o644)

    with pytest.raises(SettingsError, match="chmod 600"):
        loader.load(str(path))


def test_a_system_that_was_removed_from_the_settings_has_its_data(
    tmp_path: Path,
) -> None:
    """Its folder is named; a name is no path."""
    settings = loader.parse({"data_dir": str(tmp_path / "bikes")})
    for name in ("bikes/gone", ""):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / ".bikecollect").touch()

    with pytest.raises(SettingsError, match=r"bikes/gone has its data, but the sett"):
        settings.chosen(["gone"])
    for name in ("..", "never"):
        with pytest.raises(SettingsError, match="; known: youbike-taipei"):
            settings.chosen([name])


def test_a_relative_folder_lies_beside_the_file(tmp_path: Path) -> None:
    """Cron's working directory must not decide where the data are (fault 93)."""
    path = tmp_path / "b.toml"
    path.write_text('data_dir = "bikes"', encoding="utf-8")

    assert loader.load(str(path)).data == tmp_path / "bikes"


@pytest.mark.parametrize(
    ("publisher", "problem"),
    [
        ('{licence = "CC0-1.0"}', 'publisher.licence"; did you mean "license"?'),
        ('{url = "javascript:alert(1)"}', "publisher.url must be an address such as"),
        ('{license_url = "file:///etc/x"}', "publisher.license_url must be an address"),
        ("{name = 5}", "publisher must contain only texts"),
    ],
)
def test_a_publisher_that_cannot_be_cited_is_rejected(
    publisher: str, problem: str
) -> None:
    """A page would link to its addresses."""
    with pytest.raises(SettingsError) as caught:
        loader.parse(
            tomllib.loads(f"[systems.youbike-taipei]\npublisher = {publisher}\n")
        )

    assert problem in str(caught.value)
