"""An SMTP connection that limits the size of replies."""

import base64
import errno
import hmac
import smtplib
import ssl
import stringprep
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bikecollect.alerts.mail.smtp_dialogue import silence

REPLY_LINES, REPLY_BYTES = 100, 32 * 1024
"""Maximum lines and bytes of one reply; usual ones (to EHLO) have up to 30 lines."""
DIALOGUE_BYTES = 1024 * 1024
"""Maximum bytes of all replies together."""
CHALLENGE, ACCEPTED = 334, frozenset({235, 503})
MAX_ANSWERS = 5


class _Replies:
    """The replies of the server, line by line; raises OSError beyond the limits."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._lines = self._bytes = 0
        self.total = 0

    def begin(self) -> None:
        """Begin another reply."""
        self._lines = self._bytes = 0

    def readline(self, size: int) -> bytes:
        """Return a line of at most *size* bytes."""
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


class BoundedSmtp(smtplib.SMTP):
    """A connection whose replies are limited, before and after the login.

    *on_sent* is called when the server has the whole of a mail. It may take any time to
    confirm it, because filters read it then (RFC 5321, 4.5.3.2.6: ten minutes).
    """

    file: Any
    on_sent: Callable[[], object] = bool
    _answers = 0

    def send(self, s: Any) -> None:
        """Send a command, which is text, or a whole mail, which is bytes."""
        super().send(s)
        if isinstance(s, bytes) and self.sock is not None:
            self.on_sent()
            self.sock.settimeout(None)

    def getreply(self) -> tuple[int, bytes]:
        """Return the code and the text of a reply.

        Raises SMTPServerDisconnected if it exceeds the limits.
        """
        if self.file is None:
            self.file = _Replies(self.sock.makefile("rb"))  # type: ignore[union-attr]
        self.file.begin()
        reply = super().getreply()
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        return reply

    def auth(
        self,
        mechanism: str,
        authobject: Callable[..., str | None],
        *,
        initial_response_ok: bool = True,
    ) -> tuple[int, bytes]:
        """Log in with *mechanism*; user and password are UTF-8 (RFC 4616, 4954).

        As in smtplib, which sends ASCII only. Raises SMTPAuthenticationError.
        """
        initial = authobject() if initial_response_ok else None
        words = () if initial is None else (_base64(initial),)
        code, reply = self.docmd("AUTH", " ".join((mechanism, *words)))
        self._answers = len(words)
        while code == CHALLENGE and self._answers <= MAX_ANSWERS:
            self._answers += 1
            answer = authobject(base64.decodebytes(reply)) or ""
            code, reply = self.docmd(_base64(answer))
        if code in ACCEPTED:
            return code, reply
        raise smtplib.SMTPAuthenticationError(code, reply)

    def auth_login(self, challenge: Any = None) -> str:
        """Return the user, then the password: the texts of challenges vary."""
        is_first = challenge is None or self._answers == 1
        return self.user if is_first else self.password

    def auth_cram_md5(self, challenge: Any = None) -> Any:
        """Return the response to *challenge* (RFC 2195), None if there is none."""
        if challenge is None:
            return None
        digest = hmac.HMAC(self.password.encode("utf-8"), challenge, "md5")
        return f"{self.user} {digest.hexdigest()}"


class _BoundedTls(BoundedSmtp, smtplib.SMTP_SSL):
    """The same over TLS from the start."""


def connect(
    host: str, port: int, *, security: str, timeout: float, ca_bundle: str
) -> BoundedSmtp:
    """Return a connection to *host* with *security* (starttls, tls, none).

    Raises SMTPException and OSError.
    """
    context = None if security == "none" else verifying(ca_bundle)
    try:
        if security == "tls":
            return _BoundedTls(host, port, timeout=timeout, context=context)
        return _begun(BoundedSmtp(host, port, timeout=timeout), context)
    except smtplib.SMTPResponseException:
        raise  # the reply of the server speaks for itself
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        code = getattr(error, "errno", None) or errno.EPROTO
        reason = _reason(error, f"{host}:{port}", security)
        raise ConnectionError(code, reason) from error


def _begun(connection: BoundedSmtp, context: ssl.SSLContext | None) -> BoundedSmtp:
    """Return *connection*, with TLS if there is a *context*."""
    try:
        if context:
            connection.starttls(context=context)
    except BaseException:
        connection.close()
        raise
    return connection


def _reason(error: Exception, place: str, security: str) -> str:
    """Return why there is no connection to *place*, in an operator's words.

    The usual mistake is a port with TLS from the start and another *security*, or one
    without and ``tls``.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS of {place} cannot be verified: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        why = (error.reason or str(error)).replace("_", " ").lower()
        is_plain = security == "tls" and why == "wrong version number"
        hint = '; does this port require security = "starttls"?' if is_plain else ""
        return f"no TLS connection to {place}: {why}{hint}"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return f"{place} does not offer STARTTLS"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        is_plain = security != "tls"
        hint = '; does this port require security = "tls"?' if is_plain else ""
        return f"{place} {silence(error)}{hint}"
    if isinstance(error, UnicodeError):  # such as "smtp..example.org"
        return f"cannot connect to {place}: not a valid host name"
    why = getattr(error, "strerror", None) or str(error)
    return f"cannot connect to {place}: {why.lower()}"


def log_in(connection: BoundedSmtp, user: str, password: str) -> None:
    """Log in; raises SMTPException, and OSError if the server has no usable way."""
    try:
        connection.login(prepared(user), prepared(password))
    except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected):
        raise
    except smtplib.SMTPException as error:
        ways = connection.esmtp_features.get("auth", "").split()
        offer = f" with a password, only {', '.join(ways)}" if ways else ""
        reason = f"the mail server offers no login{offer}"
        raise ConnectionError(errno.EPROTO, reason) from error


def verifying(ca_bundle: str = "") -> ssl.SSLContext:
    """Return a TLS context with the certificates of *ca_bundle*, a file or a folder.

    Without it with the machine's, which take some 20 ms to read. Raises ConnectionError
    naming a *ca_bundle* that cannot be used.
    """
    folder = ca_bundle if ca_bundle and Path(ca_bundle).is_dir() else None
    file = None if folder else ca_bundle or None
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        is_content = isinstance(error, ssl.SSLError)
        why = "no valid certificate in it" if is_content else error.strerror
        code = error.errno or errno.EINVAL
        raise ConnectionError(code, f"ca_bundle {ca_bundle}: {why}") from error


def prepared(text: str) -> str:
    r"""Return a user or password in the form that servers compare (SASLprep, RFC 4013).

    >>> prepared("pa\u0308ss\u00a0wo\u00adrd")
    'p\xe4ss word'
    """
    if text.isascii():
        return text
    kept = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    return unicodedata.normalize("NFKC", kept)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")
