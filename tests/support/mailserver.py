"""The mail server of a test: a process with TLS and a login, and its mailbox."""

import os
import signal
import smtpd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from pathlib import Path

import forking
import trustme
from ports import free_port

from bikecollect.alerts.mail.smtp import Server

ME, BOSS = "me@example.org", "boss@example.org"


@cache
def _certificates() -> tuple[trustme.CA, trustme.LeafCert]:
    """Return an authority, and its certificate for the servers of this process."""
    authority = trustme.CA()
    return authority, authority.issue_cert("localhost")


@dataclass
class MailServer:
    """A mail server at *port* that can be started, stopped and started again."""

    folder: Path
    port: int
    authority: trustme.CA

    @classmethod
    def new(cls, folder: Path) -> "MailServer":
        """Return one with its certificates and mailbox in *folder*."""
        (folder / "mailbox").mkdir(parents=True)
        authority, leaf = _certificates()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
        leaf.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        password = folder / "password"
        password.write_text(f"{smtpd.PASSWORD}\n", encoding="utf-8")
        password.chmod(0o600)
        return cls(folder, free_port(), authority)

    @contextmanager
    def up(self, *words: str) -> Iterator[None]:
        """Serve within the block, with the options *words* (see smtpd)."""
        files = [self.folder / name for name in ("mailbox", "cert.pem", "key.pem")]
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as printed, os.fdopen(writer, "wb") as stdout:
            process = forking.server().fork(
                smtpd.__file__,
                [str(self.port), *map(str, files), *words],
                os.environ,
                stdout=stdout.fileno(),
                imports=("aiosmtpd.smtp",),
            )
            stdout.close()
            try:
                assert printed.readline() == b"ready\n"
                yield
            finally:
                with suppress(ProcessLookupError):  # it ended, for want of its port
                    os.kill(process.pid, signal.SIGKILL)
                process.communicate()

    def server(self, **more: object) -> Server:
        """Return how to reach it."""
        values: dict[str, object] = {
            "host": "localhost",
            "port": self.port,
            "user": smtpd.USER,
            "password": smtpd.PASSWORD,
            "ca_bundle": str(self.folder / "ca.pem"),
        }
        return Server(**{**values, **more})  # type: ignore[arg-type]

    def settings(self, **more: object) -> dict[str, object]:
        """Return ``[mail]`` for it."""
        return {
            "host": "localhost",
            "port": self.port,
            "user": smtpd.USER,
            "password_file": str(self.folder / "password"),
            "ca_bundle": str(self.folder / "ca.pem"),
            "sender": "bikes@example.org",
            "to": [ME],
            "timezone": "Asia/Taipei",
            **more,
        }

    def mails(self) -> list[EmailMessage]:
        """Return the received mails, in order."""
        files = sorted((self.folder / "mailbox").glob("*.eml"))
        return [message_from_bytes(f.read_bytes(), policy=policy.SMTP) for f in files]

    def subjects(self) -> list[str]:
        """Return the subjects of the received mails, without our prefix."""
        return [str(m["Subject"]).removeprefix("[bikecollect] ") for m in self.mails()]
