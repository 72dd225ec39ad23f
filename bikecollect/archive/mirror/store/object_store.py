"""An object store, accessed by the library obstore; every request has a deadline."""

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.mirror.store import credentials
from bikecollect.archive.mirror.store.store_errors import translated
from bikecollect.core import process
from bikecollect.core.errors import (
    MirrorError,
    MirrorUnavailable,
    NotInstalled,
)
from bikecollect.core.secrets.redact import redactor
from bikecollect.storage.files.durable import remove_abandoned, writing

if TYPE_CHECKING:
    from obstore import Bytes, GetOptions, ObjectMeta
    from obstore.store import ObjectStore as Client

Value = TypeVar("Value")
Options = ParamSpec("Options")

REQUEST, CONNECT, RETRY = "60s", "5s", 40
"""Maximum time of a request, of connecting, and of all retries (in seconds)."""
RETRIES = 6
LONGEST = 86_400.0
"""Maximum seconds of a call of the library, which may send many pieces."""
PIECE = 5 << 20
"""Bytes of a piece: larger files are sent and received in pieces, one at a time.

So a slow line (0.7 Mbit/s) needs less than `REQUEST` for each; it is S3's minimum.
"""
THREADS = 12  # for eight requests, and some of the library
TRIES = 2
"""Maximum uploads of an object whose copy differs."""
MAX_WHOLE = 64 << 20
"""Maximum bytes of an object that is read into memory (certificate, list, ledger)."""


class StoredObject(NamedTuple):
    """An object: its size in bytes, and a tag that changes with its content."""

    path: str
    size: int
    tag: str


class ObjectStore:
    """The objects below the prefix of *address*; a folder is created if *creates*.

    Raises MirrorUnavailable if the store cannot be reached, MirrorDenied if it rejects
    the credentials, StorageError if a file here cannot be written, MirrorError for
    everything else.
    """

    def __init__(self, address: MirrorAddress, *, creates: bool = False) -> None:
        try:
            import obstore  # an extra, and heavy
        except ImportError as error:
            raise NotInstalled(
                "a mirror needs obstore; run: pip install 'bikecollect[cloud]'"
            ) from error
        _require_threads()
        os.environ.setdefault("TOKIO_WORKER_THREADS", "1")  # else one per processor
        self._obstore = obstore
        self.address = address
        folder = Path(f"/{address.prefix}")
        if address.scheme == "file" and not creates and not folder.is_dir():
            raise MirrorUnavailable(f"{address} is not a folder: is its disk mounted?")
        self._redact = redactor(credentials.secrets())
        with self._translated(f"cannot use {address}"):
            self._client = _client(address, creates=creates)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose path begins with *prefix*, a folder."""
        with self._translated(f"cannot list {self._shown(prefix)}"):
            batches = self._obstore.list(self._client, prefix)
            while batch := self._awaited(next, batches, ()):
                for item in batch:
                    yield StoredObject(item["path"], item["size"], _tag(item))

    def find(self, path: str) -> StoredObject | None:
        """Return the object at *path*, None if there is none."""
        with self._translated(f"cannot read {self._shown(path)}"):
            try:
                item = self._awaited(self._obstore.head, self._client, path)
            except FileNotFoundError:
                return None
            return StoredObject(path, item["size"], _tag(item))

    def read(self, path: str) -> bytes | None:
        """Return the content of a small object, None if there is none."""
        with self._translated(f"cannot read {self._shown(path)}"):
            try:
                result = self._awaited(self._obstore.get, self._client, path)
            except FileNotFoundError:
                return None
            if result.meta["size"] > MAX_WHOLE:
                raise MirrorError(f"{self._shown(path)} is too large")
            return bytes(self._awaited(result.bytes))

    def digest(self, path: str) -> str:
        """Return the sha256 of the object at *path*, empty if there is none."""
        with self._translated(f"cannot read {self._shown(path)}"):
            try:
                return self._received(path, Path(os.devnull))
            except FileNotFoundError:
                return ""

    def download(self, path: str, target: Path) -> str:
        """Write the object at *path* to the file *target*; return its sha256."""
        with self._translated(f"cannot read {self._shown(path)}"):
            return self._received(path, target)

    def _received(self, path: str, target: Path) -> str:
        from obstore.exceptions import PreconditionError

        try:
            return self._received_once(path, target)
        except PreconditionError:  # it was replaced meanwhile
            return self._received_once(path, target)

    def _received_once(self, path: str, target: Path) -> str:
        digest = hashlib.sha256()
        with writing(target):
            out = target.open("wb", buffering=0)
        with out:
            for piece in self._pieces(path):
                digest.update(piece)
                left = memoryview(piece)
                with writing(target):
                    while left:
                        left = left[out.write(left) :]
        return digest.hexdigest()

    def _pieces(self, path: str) -> "Iterator[Bytes]":
        """Yield the content of the object at *path*, with a request for each piece."""
        result = self._awaited(self._obstore.get, self._client, path)
        size, tag = result.meta["size"], result.meta["e_tag"]
        if size <= PIECE:
            yield self._awaited(result.bytes)
            return
        del result
        for start in range(0, size, PIECE):
            end = min(start + PIECE, size)
            options: GetOptions = {"range": (start, end), "if_match": tag}
            get = self._obstore.get
            piece = self._awaited(get, self._client, path, options=options)
            yield self._awaited(piece.bytes)

    def write(self, path: str, data: bytes | Path, sha256: str) -> StoredObject:
        """Write *data* to *path* and read it back; raises MirrorError if it differs.

        An object with the same path is replaced atomically.
        """
        for _ in range(TRIES):
            with self._translated(f"cannot write {self._shown(path)}"):
                size = len(data) if isinstance(data, bytes) else data.stat().st_size
                result = self._awaited(
                    self._obstore.put,
                    self._client,
                    path,
                    data,
                    use_multipart=size > PIECE,
                    chunk_size=PIECE,
                    max_concurrency=1,
                )
            if self.digest(path) == sha256:
                if self.address.scheme == "file":
                    _remove_leftovers(Path(f"/{self.address.prefix}", path))
                tag = result["e_tag"]
                stored = StoredObject(path, size, tag) if tag else self.find(path)
                return stored or StoredObject(path, size, "")
        raise MirrorError(f"{self._shown(path)}: sha256 mismatch after the upload")

    def copy(self, path: str, target: str) -> None:
        """Copy the object at *path* to *target*, within the store, if there is one."""
        with self._translated(f"cannot copy {self._shown(path)}"):
            try:
                self._copy(path, target)
            except FileNotFoundError:
                return

    def _copy(self, path: str, target: str) -> None:
        if self.address.scheme != "file":
            self._awaited(self._obstore.copy, self._client, path, target)
            return
        # The library would make a hard link, which FAT and some network disks lack.
        content = Path(f"/{self.address.prefix}", path)
        self._obstore.put(self._client, target, content, chunk_size=PIECE)

    def _awaited(
        self,
        call: Callable[Options, Value],
        *args: Options.args,
        **options: Options.kwargs,
    ) -> Value:
        """Return the result of a *call* of the library, unless a signal ends the wait.

        In the main thread the library would keep Python from handling the signal. A
        call that is abandoned changes nothing, or a whole object; not so in a folder.
        """
        if self.address.scheme == "file":
            return call(*args, **options)
        work = partial(call, *args, **options)
        return process.deadline(work, LONGEST, check=process.raise_if_ending)

    def _shown(self, path: str) -> str:
        return f"{self.address}/{path}"

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Translate the library's errors."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError, ValueError, process.DeadlineError) as error:
            raise translated(what, error, self.address, self._redact) from None


def _tag(item: "ObjectMeta") -> str:
    return str(item["e_tag"] or item["last_modified"].isoformat())


def _require_threads() -> None:
    """Raise MirrorError if this machine does not allow `THREADS` more threads.

    The library would panic, or wait for ever for one that could not be started.
    """
    from concurrent.futures import ThreadPoolExecutor  # not for those that import this

    end = threading.Event()
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            list(map(pool.submit, [end.wait] * THREADS))
        except RuntimeError:
            raise MirrorError(
                f"cannot start threads: {process.NoThreadError()}"
            ) from None
        finally:
            end.set()


def _remove_leftovers(path: Path) -> None:
    """Remove what killed processes left beside the file *path*: ``NAME#1``.

    The library writes there before it renames. A program that reads the folder as a
    dataset, such as Spark, would read these rows too.
    """
    with suppress(OSError):
        for entry in path.parent.iterdir():
            if re.fullmatch(f"{re.escape(path.name)}#[0-9]+", entry.name):
                remove_abandoned(entry)


def _client(address: MirrorAddress, *, creates: bool) -> "Client":
    from obstore import store

    if address.scheme == "file":
        return store.LocalStore(f"/{address.prefix}", mkdir=creates)
    options: dict[str, Any] = {
        "client_options": {"timeout": REQUEST, "connect_timeout": CONNECT},
        "retry_config": {
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=RETRY),
        },
    }
    if address.scheme == "s3":
        config: dict[str, Any] = credentials.s3_config()
        if config.get("endpoint", "").startswith("http://"):
            options["client_options"]["allow_http"] = True
        # The server compares the received bytes with this checksum.
        config["checksum_algorithm"] = "SHA256"
        options["config"] = config
    return store.from_url(str(address), **options)
