"""One command at a set time, of which one call on the system's files goes wrong.

Run by `Life.begin`, with a JSON object as its argument.
"""

import errno
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    for name in ("support", "crash"):
        sys.path.insert(0, str(Path(__file__).parents[1] / name))

import pytest
from same_process import run_here

from bikecollect.collect.collector import Collector
from bikecollect.core import process
from bikecollect.core.errors import FeedUnavailable, RateLimited
from bikecollect.core.payload import Check, Document
from bikecollect.wiring import collection

KILLED = 137
CALLS = ("write", "fsync", "ftruncate")
EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.listdir"}
EVENTS |= {"sqlite3.connect", "os.scandir"}
"""Python's audit events of calls that name a file."""
FAILURES = (0, 0, errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EACCES)
"""What a call fails with; 0: the process is killed there."""
IDS = ("a", "b", '"c', "d,1", "é\n2", "=1+1", " f ", "0007")


@dataclass
class Client:
    """Gets the documents of a GBFS feed at a *moment*; *status* is an HTTP status."""

    body: bytes
    status: int
    moment: float
    attempts: list[Any] = field(default_factory=list)
    public_host = ""

    def __call__(
        self, name: str, url: str, *, check: Check | None = None, tries: int = 1
    ) -> Document:
        """Return the document called *name*."""
        if self.status == 429:
            raise RateLimited("HTTP 429", not_before=0.0)
        if self.status != 200:
            raise FeedUnavailable("HTTP 503", http_status=self.status)
        names = ("station_status", "station_information")
        feeds = [{"name": known, "url": f"http://h/{known}"} for known in names]
        places = [
            {"station_id": i, "name": f"at {i}", "lat": 59 + n / 99, "lon": 10.7}
            for n, i in enumerate(IDS)
        ]
        body = self.body
        if name != "station_status":
            data = {"en": {"feeds": feeds}} if name == "gbfs" else {"stations": places}
            about = {"last_updated": int(self.moment), "data": data}
            body = json.dumps(about).encode()
        return Document(name, body, url, fetched_at=self.moment)

    def close(self) -> None:
        """Close nothing."""


@dataclass
class Spoiler:
    """Kills this process at a call on files in *root*, or lets that call fail."""

    root: str
    at: int
    error: int
    seen: int = 0

    def begin(self) -> None:
        """Count the calls from now on."""
        for name in CALLS:
            setattr(os, name, partial(self._call, getattr(os, name)))
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        names = event in EVENTS and isinstance(arguments[0], str | bytes | os.PathLike)
        if names and os.fsdecode(arguments[0]).startswith(self.root):
            self._count()

    def _call(self, call: Callable[..., Any], fd: int, *rest: Any) -> Any:
        if self.seen + 1 == self.at and not self.error and call.__name__ == "write":
            call(fd, rest[0][: len(rest[0]) // 2])  # the write is torn
        self._count()
        return call(fd, *rest)

    def _count(self) -> None:
        self.seen += 1
        if self.seen != self.at:
            return
        if not self.error:
            os._exit(KILLED)
        raise OSError(self.error, os.strerror(self.error), self.root)


def run(
    root: Path,
    command: Sequence[str],
    *,
    moment: float,
    booted: float,
    status: int,
    body: bytes,
    env: Mapping[str, str],
) -> tuple[int, str]:
    """Run *command* at *moment*; return its exit code and its output."""
    boot = f"boot at {booted:.0f}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collection, "Collector", partial(Collector, boot_id=boot))
        patch.setattr(process, "boot_id", lambda: boot)
        return run_here(
            ["--config", str(root / "b.toml"), *command],
            moment=moment,
            client=lambda *_: Client(body, status, moment),
            env=env,
            booted=booted,
        )


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    root, at = Path(request["root"]), request["at"]
    if at:
        Spoiler(str(root), at, request["error"]).begin()
    code, text = run(
        root,
        request["command"],
        moment=request["moment"],
        booted=request["booted"],
        status=request["status"],
        body=request["body"].encode("latin-1"),
        env={},
    )
    print(text)
    sys.stdout.flush()
    os._exit(code)
