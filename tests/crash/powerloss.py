"""A power cut, simulated: one run's system calls, and the disks it may leave.

After ALICE (Pillai et al., OSDI 2014): the trace of a run is replayed onto a copy of
the folder up to some call; what was not synced by then may be on the disk or not.
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CREATING = ("clone", "clone3", "fork", "vfork")
"""The calls that create a thread or a process."""
CALLS = (
    "openat,close,lseek,write,pwrite64,ftruncate,rename,unlink,mkdir,fsync,fdatasync,"
    + ",".join(CREATING)
)
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)")
_UNFINISHED = re.compile(r"^(\d+ +)(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+ +)<\.\.\. \w+ resumed>(.*)$")
State = dict[str, bytes | None]
"""The content of each file of a disk by its path, None for a folder."""
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True)
class Call:
    """One system call that changes the folder or makes it durable."""

    name: str
    path: str
    data: bytes = b""
    at: int = 0
    to: str = ""


@dataclass
class File:
    """The content of a file now, and how much of it has been synced."""

    now: bytearray = field(default_factory=bytearray)
    safe: bytes = b""


def read_trace(text: str, folder: Path) -> list[Call]:
    """Return the calls of a trace (``strace -f -xx -s ...``) that concern *folder*.

    They are those of all traced processes, in the order in which they ended.
    """
    matches = (_LINE.match(line) for line in _joined(text.splitlines()))
    calls = [match.groups() for match in matches if match and int(match[4]) >= 0]
    reader = _Reader(folder)
    for creator, name, arguments, result in calls:
        if name in CREATING:
            reader.is_thread[result] = "CLONE_THREAD" in arguments
            reader.creators[result] = creator
    for thread, name, arguments, result in calls:
        if name not in CREATING:
            reader.read(thread, name, arguments, int(result))
    return reader.calls


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a trace; a call that others interrupted is on one line."""
    begun: dict[str, str] = {}
    for line in lines:
        if unfinished := _UNFINISHED.match(line):
            begun[unfinished[1].strip()] = unfinished[2]
        elif resumed := _RESUMED.match(line):
            yield resumed[1] + begun.pop(resumed[1].strip()) + resumed[2]
        else:
            yield line


class _Reader:
    """Follows descriptors, places and sizes through a trace.

    *creators* has the thread that created each thread or process, by its number.
    """

    def __init__(self, folder: Path) -> None:
        self.calls: list[Call] = []
        self.creators: dict[str, str] = {}
        self.is_thread: dict[str, bool] = {}
        self._folder = str(folder)
        self._descriptors: dict[str, dict[str, tuple[str, bool]]] = {}
        self._fds: dict[str, tuple[str, bool]] = {}
        self._process = ""
        self._places: dict[tuple[str, str], int] = {}
        files = (path for path in folder.rglob("*") if path.is_file())
        self._sizes = {str(path): path.stat().st_size for path in files}

    def _process_of(self, thread: str) -> str:
        """Return the process of *thread*; it begins with its creator's descriptors."""
        while self.is_thread.get(thread):
            thread = self.creators[thread]
        if thread not in self._descriptors:
            creator = self.creators.get(thread)
            inherited = self._descriptors[self._process_of(creator)] if creator else {}
            self._descriptors[thread] = dict(inherited)
        return thread

    def read(self, thread: str, name: str, arguments: str, result: int) -> None:
        """Read one call of *thread*."""
        self._process = self._process_of(thread)
        self._fds = self._descriptors[self._process]
        texts = [_bytes(text) for text in _TEXT.findall(arguments)]
        fd = arguments.partition(",")[0].partition("<")[0].strip()
        if name == "openat":
            self._open(texts[0].decode(), arguments, str(result))
        elif name == "close":
            self._fds.pop(fd, None)
        elif name in {"rename", "unlink", "mkdir"}:
            self._names(name, texts[0].decode(), texts[-1].decode())
        elif fd in self._fds and self._fds[fd][0].startswith(self._folder):
            self._data(name, fd, arguments, texts, result)

    def _open(self, path: str, arguments: str, fd: str) -> None:
        self._fds[fd] = (path, "O_APPEND" in arguments)
        self._places[self._process, fd] = 0
        if not path.startswith(self._folder) or "O_CREAT" not in arguments:
            return
        if path not in self._sizes:
            self.calls.append(Call("create", path))
        elif "O_TRUNC" in arguments:
            self.calls.append(Call("ftruncate", path))
        else:
            return
        self._sizes[path] = 0

    def _names(self, name: str, path: str, to: str) -> None:
        if not path.startswith(self._folder):
            return
        self.calls.append(Call(name, path, to=to))
        size = self._sizes.pop(path, 0)
        if name == "rename":
            self._sizes[to] = size

    def _data(
        self, name: str, fd: str, arguments: str, texts: list[bytes], result: int
    ) -> None:
        path, appends = self._fds[fd]
        size, last = self._sizes.get(path, 0), arguments.rpartition(",")[2]
        if name == "lseek":
            self._places[self._process, fd] = result
        elif name == "pwrite64":
            self._write(path, texts[0][:result], int(last))
        elif name == "write":
            at = size if appends else self._places[self._process, fd]
            self._places[self._process, fd] = at + result
            self._write(path, texts[0][:result], at)
        elif name == "ftruncate":
            self.calls.append(Call("ftruncate", path, at=int(last)))
            self._sizes[path] = int(last)
        else:
            self.calls.append(Call("sync", path))

    def _write(self, path: str, data: bytes, at: int) -> None:
        self.calls.append(Call("write", path, data, at))
        self._sizes[path] = max(self._sizes.get(path, 0), at + len(data))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


class Disk:
    """The folder as it is now, and as it surely is after a power cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.names: dict[str, File | None] = {}
        for path in folder.rglob("*"):
            data = path.read_bytes() if path.is_file() else None
            self.names[str(path)] = (
                None if data is None else File(bytearray(data), data)
            )
        self.safe_names = dict(self.names)

    def apply(self, call: Call) -> None:
        """Do what *call* did."""
        file = self.names.get(call.path)
        if call.name == "create":
            self.names[call.path] = File()
        elif call.name == "mkdir":
            self.names[call.path] = None
        elif call.name == "rename":
            self.names[call.to] = self.names.pop(call.path)
        elif call.name == "unlink":
            self.names.pop(call.path, None)
        elif call.name == "sync" and file is None:
            self._sync_names(call.path)
        elif file is not None:
            _change(file, call)

    def _sync_names(self, folder: str) -> None:
        for names in (self.safe_names, self.names):
            for path in list(names):
                if str(Path(path).parent) == folder:
                    if path in self.names:
                        self.safe_names[path] = self.names[path]
                    else:
                        self.safe_names.pop(path, None)

    def states(self) -> Iterator[tuple[str, State]]:
        """Yield what may be there after a cut: names and data, synced or not."""
        for name, names in (("safe", self.safe_names), ("now", self.names)):
            for how in ("safe", "now", "zeroed", "torn"):
                yield (
                    f"{name} names, {how} data",
                    {
                        path: None if file is None else _data(file, how)
                        for path, file in names.items()
                    },
                )

    def write(self, state: State, to: Path) -> None:
        """Make the folder *to* look like *state*."""
        write({f"{to}{p.removeprefix(str(self._folder))}": state[p] for p in state}, to)


def write(state: State, folder: Path) -> None:
    """Make *folder* and its content, *state*."""
    folder.mkdir()
    for path, data in sorted(state.items()):
        place = Path(path)
        if not place.parent.is_dir():
            continue  # its folder's own name was lost
        if data is None:
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(data)


def _change(file: File, call: Call) -> None:
    if call.name == "sync":
        file.safe = bytes(file.now)
    elif call.name == "ftruncate":
        del file.now[call.at :]
        file.now.extend(b"\0" * (call.at - len(file.now)))
    else:
        file.now.extend(b"\0" * (call.at - len(file.now)))
        file.now[call.at : call.at + len(call.data)] = call.data


def _data(file: File, how: str) -> bytes:
    now, safe = bytes(file.now), file.safe
    if how == "now" or now == safe:
        return now
    if how == "zeroed":
        return safe[: len(now)] + b"\0" * (len(now) - len(safe))
    if how == "torn":
        return safe[: len(now)] + now[len(safe) : (len(now) + len(safe)) // 2]
    return safe


def is_accepted(calls: Sequence[Call]) -> bool:
    """Return whether the inbox was synced after the payload got its name."""
    named = [i for i, c in enumerate(calls) if c.name == "rename" and ".tmp" in c.path]
    synced = [
        i
        for i, c in enumerate(calls)
        if c.name == "sync" and c.path.endswith("/payloads/inbox")
    ]
    return bool(named) and any(i > named[0] for i in synced)


def clear(folder: Path) -> None:
    """Remove *folder*."""
    shutil.rmtree(folder, ignore_errors=True)
