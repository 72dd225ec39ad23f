"""An SMTP connection whose server cannot fill our memory."""

import smtplib
import ssl
from typing import Any

REPLY_LINES, REPLY_BYTES = 100, 32 * 1024
"""Of one reply: the longest there are, to EHLO, have some thirty short lines."""
DIALOGUE_BYTES = 1024 * 1024
"""Of all replies together."""


class _Replies:
    """What the server says, line by line; raises OSError where it does not end."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._lines = self._bytes = 0
        self.total = 0

    def begin(self) -> None:
        """Expect another reply."""
        self._lines = self._bytes = 0

    def readline(self, size: int) -> bytes:
        """Return a line of *size* bytes at most."""
        line: bytes = self._file.readline(size)
        self._lines += 1
        self._bytes += len(line)
        self.total += len(line)
        if self._lines > REPLY_LINES or self._bytes > REPLY_BYTES:
            raise OSError(
                f"a reply of more than {REPLY_LINES} lines or {REPLY_BYTES} bytes"
            )
        if self.total > DIALOGUE_BYTES:
            raise OSError(f"replies of more than {DIALOGUE_BYTES} bytes")
        return line

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Bounded(smtplib.SMTP):
    """A connection whose replies are bounded, before a login and after."""

    file: Any

    def getreply(self) -> tuple[int, bytes]:
        """Return the code and the text of a reply.

        Raises SMTPServerDisconnected where it does not end.
        """
        if self.file is None:
            self.file = _Replies(self.sock.makefile("rb"))  # type: ignore[union-attr]
        self.file.begin()
        return super().getreply()


class _BoundedTls(_Bounded, smtplib.SMTP_SSL):
    """The same over TLS from the start."""


def connect(
    host: str, port: int, *, security: str, timeout: float, ca_bundle: str
) -> smtplib.SMTP:
    """Return a connection to the mail server, by *security* (starttls, tls, none).

    Raises SMTPException and OSError.
    """
    context = ssl.create_default_context(cafile=ca_bundle or None)
    if security == "tls":
        return _BoundedTls(host, port, timeout=timeout, context=context)
    connection = _Bounded(host, port, timeout=timeout)
    try:
        if security == "starttls":
            connection.starttls(context=context)
    except BaseException:
        connection.close()
        raise
    return connection
