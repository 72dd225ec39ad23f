"""A real mail server, as a separate process; stores mails as files in a folder.

Run as a program: ``python smtpd.py PORT FOLDER CERT KEY [tls] [refuse=ADDRESS]
[later=ADDRESS]``. It asks for STARTTLS (or uses TLS from the start) and a login.
"""

import asyncio
import ssl
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "me", "correct horse battery"
Argument = object


class Keeper:
    """Stores mails in *folder*, numbered; rejects *refused*, defers *later*."""

    def __init__(self, folder: Path, refused: str, later: str) -> None:
        self._folder = folder
        self._refused = refused
        self._later = later

    async def handle_RCPT(  # aiosmtpd's
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: Argument
    ) -> str:
        """Accept or reject a recipient."""
        if address == self._refused:
            return "550 no such user here"
        if address == self._later:
            return "451 greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # aiosmtpd's
        self, _: SMTP, __: Session, envelope: Envelope
    ) -> str:
        """Store the mail, with its recipients on top."""
        number = sum(1 for path in self._folder.iterdir())
        to = ", ".join(envelope.rcpt_tos).encode()
        path = self._folder / f"{number:04}.eml"
        aside = path.with_suffix(".tmp")
        aside.write_bytes(b"X-Got-By: " + to + b"\r\n" + (envelope.content or b""))  # type: ignore[operator]
        aside.rename(path)
        return "250 taken"


def login(_: SMTP, __: Session, ___: Envelope, ____: str, data: object) -> AuthResult:
    """Accept the one user."""
    good = isinstance(data, LoginPassword) and (
        (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    )
    return AuthResult(success=good, handled=False)


async def serve(
    port: int, folder: Path, cert: str, key: str, words: dict[str, str]
) -> None:
    """Serve until the process is killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    keeper = Keeper(folder, words.get("refuse", ""), words.get("later", ""))
    implicit = "tls" in words

    def session() -> SMTP:
        return SMTP(
            keeper,
            authenticator=login,
            auth_required=True,
            auth_require_tls=not implicit,
            tls_context=None if implicit else context,
            require_starttls=not implicit,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        session, "127.0.0.1", port, ssl=context if implicit else None
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    number, place, cert_file, key_file, *more = sys.argv[1:]
    options = dict(option.partition("=")[::2] for option in more)
    asyncio.run(serve(int(number), Path(place), cert_file, key_file, options))
