"""Reading files that others may have put there: plain ones only, and no more than fits.

Neither a link nor a FIFO, a device or a socket is ever read, and none of them blocks.
"""

import errno
import os
import stat
from pathlib import Path

PIECE = 1_048_576
REFUSED = frozenset({errno.EINVAL, errno.EFBIG, errno.ELOOP})
"""What these functions raise, as errno, for what is no plain file or too large."""
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def opened(path: Path | str, *, dir_fd: int | None = None) -> int:
    """Return a descriptor of the plain file *path*; raises OSError for anything else.

    A link is refused where it is the last part of *path*.
    """
    fd = os.open(path, FLAGS, dir_fd=dir_fd)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "not a plain file", str(path))


def content(path: Path | str, most: int, *, dir_fd: int | None = None) -> bytes:
    """Return the bytes of the plain file *path*; raises OSError where there are more.

    *most* bounds what is read, however the file grows.
    """
    fd = opened(path, dir_fd=dir_fd)
    parts, left = [], most
    with os.fdopen(fd, "rb") as file:
        # Not *most* at once: what is asked for is allocated, be the file ever so short.
        while part := file.read(PIECE):
            left -= len(part)
            if left < 0:
                raise OSError(errno.EFBIG, f"more than {most} bytes", str(path))
            parts.append(part)
    return b"".join(parts)
