"""Secrets are in no output, file or mail; and nothing else is masked."""

import json
import time
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import bikecollect
from served import Answer, serving

from bikecollect.core.errors import SettingsError
from bikecollect.setup import loader
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

CANARY = "canary-3f9a1c"
GOOD = Answer(dialects.youbike(City(20), time.time()))


def settings(folder: Path, url: str, more: str = "", name: str = "city") -> Path:
    """Write settings for one system; return their path."""
    path = folder / "bikecollect.toml"
    path.write_text(
        f'data_dir = "data"\ninterval = "5s"\n[systems.{name}]\nfeed = "youbike"\n'
        f'url = "{url}"\ntimezone = "Asia/Taipei"\n{more}\n',
        encoding="utf-8",
    )
    path.chmod(0o600)
    return path


def written(folder: Path) -> Iterator[bytes]:
    """Yield the content of each file, except the publisher's own bytes."""
    for path in folder.rglob("*"):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as box:
                yield box.read("fetch.json")
        elif path.is_file():
            yield path.read_bytes()


BASIC = b64encode(f"me:{CANARY}".encode()).decode()


@pytest.mark.parametrize(
    ("header", "value", "echo"),
    [
        ("Authorization", f"Bearer {CANARY}", CANARY),
        ("Authorization", f"Bearer {CANARY}", f"token%3D{CANARY}"),
        ("Authorization", f"Basic {BASIC}", f"me:{CANARY}"),
        ("Authorization", f"Basic {BASIC}", f"wrong password {CANARY}"),
        ("Cookie", f"lang=en; session={CANARY}", f"no session {CANARY}"),
        ("X-Api-Key", CANARY, f"\\u0022{CANARY}\\u0022"),
        ("X-Api-Key", CANARY, "x" * 50 + CANARY),
    ],
)
@pytest.mark.parametrize("status", [200, 403])
def test_an_echoed_secret_is_not_kept(
    tmp_path: Path, header: str, value: str, echo: str, status: int
) -> None:
    """Neither the header nor what the server derived from it."""
    with serving(lambda _: Answer(f"<p>{echo}".encode(), status)) as url:
        more = f'headers = {{ {header} = "{value}" }}'
        path = settings(tmp_path, url, more)
        process = bikecollect("-vv", "--config", path, "fetch", "--format", "json")

    assert json.loads(process.stdout)["outcome"] in {"rejected", "credentials"}
    assert CANARY[:9] not in process.stdout + process.stderr
    assert not any(
        CANARY[:9].encode() in content for content in written(tmp_path / "data")
    )


def test_a_key_is_not_kept_after_a_good_run(tmp_path: Path) -> None:
    """Not in the ledger, not in the log, not beside the payload."""
    with serving(lambda _: GOOD) as url:
        place = url.replace("http://", f"http://me:{CANARY}-user@")
        path = settings(tmp_path, f"{place}/f?size=20&key={CANARY}-query")
        process = bikecollect("-vv", "--config", path, "fetch", "--format", "json")

    assert json.loads(process.stdout)["stations"] == 20
    assert CANARY not in process.stdout + process.stderr
    assert not any(CANARY.encode() in content for content in written(tmp_path / "data"))


@pytest.mark.parametrize("token", ["", "?token=of-the-publisher"])
def test_a_gbfs_key_is_not_stored_in_clear_text(tmp_path: Path, token: str) -> None:
    """Nor a token of the publisher; those addresses are looked up again."""
    requests: list[str] = []
    now = int(time.time())

    def answer(path: str) -> Answer:
        requests.append(path.partition("?")[0])
        if "gbfs.json" in path:
            feeds = [{"name": "station_status", "url": f"{base[0]}/status.json{token}"}]
            data: dict[str, object] = {"en": {"feeds": feeds}}
            values = {
                "version": "2.3",
                "last_updated": now,
                "ttl": 0,
                "data": data,
            }
            return Answer(json.dumps(values).encode())
        station = {"station_id": "1", "num_bikes_available": 3, "is_renting": True}
        data = {"stations": [station]}
        return Answer(json.dumps({"last_updated": now, "data": data}).encode())

    base: list[str] = []
    with serving(answer) as url:
        base.append(url)
        path = settings(tmp_path, f"{url}/gbfs.json?key={CANARY}")
        text = path.read_text(encoding="utf-8").replace("youbike", "gbfs")
        path.write_text(text, encoding="utf-8")
        codes = [bikecollect("--config", path, "fetch").returncode for _ in range(2)]

    assert codes == [0, 0]
    assert requests.count("/gbfs.json") == (2 if token else 1)
    for content in written(tmp_path / "data"):
        assert CANARY.encode() not in content
        assert b"of-the-publisher" not in content


def test_a_page_s_size_is_no_secret(tmp_path: Path) -> None:
    """`size=1000` masks no number of the result."""
    page = Answer(dialects.youbike(City(1000), time.time()))
    with serving(lambda path: page if "page=0" in path else Answer(b"[]")) as url:
        path = settings(tmp_path, f"{url}/f?page=0&size=1000")
        path.chmod(0o644)
        process = bikecollect("--config", path, "--log-format", "json", "fetch")
        shown = bikecollect("--config", path, "runs", "--format", "json")

    log = (tmp_path / "data/city/bikecollect.log").read_text(encoding="utf-8")
    assert (process.returncode, process.stderr) == (0, "")
    assert json.loads(shown.stdout)["rows"] == 1000
    assert json.loads(log.splitlines()[-1])["stations"] == 1000


def test_a_parameter_s_value_masks_no_path(tmp_path: Path) -> None:
    """The contract has the name of the system, and both are unchanged."""
    with serving(lambda _: Answer(b"<p>", 200)) as url:
        path = settings(tmp_path, f"{url}/f?contract=toulouse", name="toulouse")
        process = bikecollect("--config", path, "fetch", "--format", "json")

    run = json.loads(process.stdout)
    assert run["system"] == "toulouse"
    assert f"{tmp_path}/data/toulouse/payloads/rejected/" in run["error"]


def test_the_result_is_json_with_a_key_of_common_letters(tmp_path: Path) -> None:
    """A secret is masked only in texts, and as a whole word."""
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url, 'headers = { X-Api-Key = "20" }')
        process = bikecollect("--config", path, "fetch", "--format", "json")

    run = json.loads(process.stdout)
    assert (run["stations"], run["rows"], run["exit_code"]) == (20, 20, 0)


SYSTEM = '[systems.city]\nfeed = "gbfs"\ntimezone = "UTC"\n'
PLAIN = f'{SYSTEM}url = "https://x.org/gbfs.json?size=10000000"\n'


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f'{SYSTEM}url = "https://x.org/?api_key=0123456789"', "systems.city.url"),
        (f'{SYSTEM}url = "https://me:pw@x.org/"', "systems.city.url"),
        (f'{PLAIN}proxy = "http://me:pw@proxy:3128"', "systems.city.proxy"),
        (f'{PLAIN}headers = {{ Cookie = "a=b" }}', "systems.city.headers.Cookie"),
        ('[ping]\nurl = "https://hc.org/5f3c1e70-aa11"', "ping.url"),
        ('[tell]\nwebhook = "https://hooks.org/T0/B0"', "tell.webhook"),
        ('[tell]\ncommand = ["notify", "--token=0123456789"]', "tell.command"),
    ],
)
def test_settings_with_a_secret_must_not_be_readable_by_others(
    tmp_path: Path, text: str, key: str
) -> None:
    """What is redacted also requires mode 0600."""
    path = tmp_path / "bikecollect.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)

    with pytest.raises(SettingsError, match=rf"\({key}\).*chmod 600 {path}"):
        loader.load(str(path))
    path.chmod(0o600)
    assert loader.load(str(path)).secrets != []


@pytest.mark.parametrize(
    "more",
    [
        "",
        'headers = { Accept-Language = "zh-TW", User-Agent = "bikes of taipei" }',
        '[ping]\nurl = "https://hc.org/"',
        '[tell]\ncommand = ["/usr/bin/logger", "-t", "bikecollect-incidents"]',
    ],
)
def test_settings_without_a_secret_may_be_read_by_all(
    tmp_path: Path, more: str
) -> None:
    """A language, a page size and a logger are no secrets."""
    path = tmp_path / "bikecollect.toml"
    path.write_text(PLAIN + more, encoding="utf-8")
    path.chmod(0o644)

    assert loader.load(str(path)).secrets == []


@pytest.mark.parametrize(
    "text",
    [
        f'{SYSTEM}url = ["{CANARY}"]',
        f'{SYSTEM}url = "{CANARY}"',
        f'{PLAIN}headers = "X-Api-Key: {CANARY}"',
        f'{PLAIN}headers = {{ X-Api-Key = ["{CANARY}"] }}',
        f'[tell]\ncommand = "notify --token {CANARY}"',
        f'[tell]\nwebhook = {{ url = "{CANARY}" }}',
        f'[ping]\nurl = "hc.org/{CANARY}"',
        f'[mail]\npassword = "{CANARY}"',
    ],
)
def test_a_mistake_in_the_settings_quotes_no_secret(tmp_path: Path, text: str) -> None:
    """The error is printed on a terminal and mailed."""
    path = tmp_path / "bikecollect.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError) as caught:
        loader.load(str(path))
    assert CANARY not in str(caught.value)
