"""A process that is ready for the faults of `interception`."""

import ctypes
import os
import platform
import socket
import struct
import sys
from collections.abc import Sequence

NUMBERS = {
    "write": 1,
    "pread64": 17,
    "pwrite64": 18,
    "flock": 73,
    "fsync": 74,
    "fdatasync": 75,
    "ftruncate": 77,
    "rename": 82,
    "mkdir": 83,
    "rmdir": 84,
    "unlink": 87,
    "getdents64": 217,
    "openat": 257,
    "mkdirat": 258,
    "unlinkat": 263,
    "renameat": 264,
    "renameat2": 316,
}
"""The numbers of system calls on x86-64."""
SECCOMP, SET_MODE_FILTER, NEW_LISTENER = 317, 1, 8
PR_SET_NO_NEW_PRIVS = 38
PR_SET_PTRACER = 0x59616D61
LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06
NOTIFY, ALLOW = 0x7FC00000, 0x7FFF0000
INSTRUCTION = struct.Struct("=HBBI")


def wait_for_tracer(address: str, names: str) -> None:
    """Let the process that listens at *address* trace this one from here on.

    It answers calls of this process that have one of *names*, which commas separate,
    if there can be a filter; else strace does.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"\0{address}")
        if lets_wait(connection, names.split(",")):
            return
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
        connection.sendall(b"?")
    sys.stdin.readline()


def lets_wait(connection: socket.socket, names: Sequence[str]) -> bool:
    """Let calls *names* of this thread wait; return whether they do.

    Who answers them is at the other end of *connection*.
    """
    listener = _filtered(names)
    if listener < 0:
        return False
    # `send_fds` would import a module first, whose calls would count.
    rights = struct.pack("i", listener)
    connection.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    os.close(listener)
    return True


def _filtered(names: Sequence[str]) -> int:
    """Let calls *names* wait for answers; return the descriptor that tells of them.

    It is negative if the calls do not wait.
    """
    if not NUMBERS.keys() >= {*names} or platform.machine() != "x86_64":
        return -1
    libc = ctypes.CDLL(None)
    code = b"".join(
        INSTRUCTION.pack(*fields)
        for fields in (
            (LOAD, 0, 0, 0),
            *(
                (EQUALS, len(names) - index, 0, NUMBERS[name])
                for index, name in enumerate(names)
            ),
            (RETURN, 0, 0, ALLOW),
            (RETURN, 0, 0, NOTIFY),
        )
    )
    program = ctypes.create_string_buffer(code, len(code))
    filters = struct.pack(
        "HxxxxxxP", len(code) // INSTRUCTION.size, ctypes.addressof(program)
    )
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return int(libc.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER, filters))
