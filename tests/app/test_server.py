"""The data app's web server: allowed hosts, headers, and its settings."""

import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from appserver import app_serving
from in_process import bikecollect
from world import World

pytest.importorskip("duckdb")
pytest.importorskip("streamlit")
pytestmark = pytest.mark.filterwarnings("ignore")
PLANTED = ("streamlit", "starlette", "uvicorn", "duckdb", "pandas", "signal", "json")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the app's address; it was started in a folder where others write."""
    folder = tmp_path_factory.mktemp("app")
    World(folder / "data/city").fetch({"a": 1})
    config = folder / "bikecollect.toml"
    config.write_text(
        'data_dir = "data"\n[systems.city]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1:9/"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )
    config.chmod(0o600)
    evil = folder / "evil"
    (evil / ".streamlit").mkdir(parents=True)
    for name in PLANTED:
        (evil / f"{name}.py").write_text("raise SystemExit('EVIL')", encoding="utf-8")
    (evil / ".streamlit/config.toml").write_text(
        "[server]\nenableCORS = false\nenableXsrfProtection = false\n"
        'enableStaticServing = true\nbaseUrlPath = "evil"\n',
        encoding="utf-8",
    )
    outside = {
        "STREAMLIT_SERVER_ENABLE_CORS": "false",
        "STREAMLIT_SERVER_BASE_URL_PATH": "evil",
        "PYTHONPATH": "",
    }
    words = ("--allow-host", "bikes.example.org")
    with app_serving(config, *words, folder=evil, **outside) as base:
        yield base
        unread = unread_download(base)
    unread.close()


def unread_download(address: str) -> socket.socket:
    """Return the connection of a visitor who has stopped to read: no end waits for it.

    `app_serving` sees that the app ends.
    """
    static = pytest.importorskip("streamlit.file_util").get_static_dir()
    script = max(Path(static).rglob("*.js"), key=lambda path: path.stat().st_size)
    place = urlsplit(address)
    visitor = socket.socket()
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    visitor.connect((place.hostname, place.port))
    path = f"/static/{script.relative_to(static)}"
    get = f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n"
    visitor.sendall(get.encode() * 12)
    assert visitor.recv(12) == b"HTTP/1.1 200"
    return visitor


EARLY = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
os.kill(os.getpid(), signal.SIGINT)
os.execv(sys.executable, [sys.executable, "-P", "-m", "bikecollect.app", "::1", "0"])
"""
"""Starts the app as the command does, with a Ctrl-C in between."""


def test_a_ctrl_c_before_the_app_has_started_ends_it() -> None:
    """No page is loaded any more, and nothing is printed."""
    ended = subprocess.run(
        [sys.executable, "-c", EARLY], check=False, capture_output=True, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def request(
    address: str, path: str = "/", method: str = "GET", **headers: str
) -> http.client.HTTPResponse:
    """Return the answer to one request; underscores of *headers* are dashes."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, 20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=named)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def upgraded(address: str, **headers: str) -> int:
    """Return the status of an attempt to open the websocket."""
    asking = {"Upgrade": "websocket", "Connection": "Upgrade"}
    asking |= {"Sec_WebSocket_Version": "13", "Sec_WebSocket_Key": "A" * 22 + "=="}
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, 20)
    named = {k.replace("_", "-"): v for k, v in {**asking, **headers}.items()}
    connection.request("GET", "/_stcore/stream", headers=named)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    "path", ["/", "/station?station=a", "/_stcore/health", "/x.js"]
)
def test_every_answer_has_the_headers(address: str, path: str) -> None:
    """No sniffing, no foreign frame, no foreign script, image or form."""
    answer = request(address, path)

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'self'" in policy
    assert "img-src 'self' data: blob:" in policy
    assert "frame-ancestors 'self'" in policy
    (scripts,) = [
        directive for directive in policy if directive.startswith("script-src ")
    ]
    assert "unsafe" not in scripts


def test_addresses_of_pages_are_fixed(address: str) -> None:
    """Neither a settings file of the folder nor the environment changes them."""
    assert request(address, "/").status == 200
    assert request(address, "/_stcore/health").status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 101),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://localhost"}, 403),
        ({"Origin": "https://bikes.example.org"}, 101),
        ({"Origin": "https://bikes.example.org.evil.example"}, 403),
        ({"Origin": "http://evil.example", "Host": "evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://localhost:80", "Host": "localhost:80"}, 101),
        ({"Origin": "https://bikes.example.org", "Host": "BIKES.example.org"}, 101),
    ],
)
def test_the_websocket_opens_for_pages_of_our_own_only(
    address: str, headers: dict[str, str], status: int
) -> None:
    """Whatever the folder's .streamlit/config.toml allows."""
    assert upgraded(address, **headers) == status


def test_the_websocket_opens_for_the_configured_address(address: str) -> None:
    """With the headers of a browser."""
    assert upgraded(address, Origin=address) == 101


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9000", 200),
        ("127.0.0.1", 200),
        ("[::1]:8501", 200),
        ("192.0.2.7", 200),
        ("pi", 200),
        ("bikes.example.org", 200),
        ("evil.example:8501", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost evil", 403),
        ("localhost;script-src", 403),
        ("", 403),
    ],
)
def test_a_foreign_host_name_is_not_answered(
    address: str, host: str, status: int
) -> None:
    """DNS rebinding: only addresses and names without a dot are allowed."""
    assert request(address, Host=host).status == status


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_uploads_are_refused(address: str, method: str) -> None:
    """Streamlit would read 200 MB into memory from any visitor."""
    answer = request(address, "/_stcore/upload_file/a/b", method, Content_Length="0")

    assert answer.status == 403
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(("host", "told"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_listening_for_everyone_prints_a_warning(host: str, *, told: bool) -> None:
    """No password, no encryption; printed before it listens (here: at a taken port)."""
    with socket.create_server((host, 0)) as taken:
        process = bikecollect("app", "--host", host, "--port", taken.getsockname()[1])

    assert process.returncode == 64
    assert f"cannot listen on {host}" in process.stderr
    assert ("warning: everyone who can reach this machine" in process.stderr) is told
