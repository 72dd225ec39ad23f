"""The questions of `init` about mail: recipient, server, login, and a test mail."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bikecollect.cli.asking import questions
from bikecollect.cli.asking.questions import Back, confirm
from bikecollect.cli.printing import say
from bikecollect.core.text import mail_address_error
from bikecollect.setup.checks.services import test_mail
from bikecollect.setup.settings import Settings
from bikecollect.setup.tables.sections import Mail, server
from bikecollect.setup.tables.values import LOOPBACK

NOBODY = "none"
PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""Default port of a mail server by the security of its connection."""
LAST_PORT = 65_535


def _optional(check: Callable[[str], str]) -> Callable[[str], str]:
    """Return *check* for a question that may be left empty."""
    return lambda answer: "" if answer in {"", NOBODY} else check(answer)


@dataclass
class MailQuestions:
    """Asks for the missing values of *mail*; a password is for *password_path*."""

    mail: Mail
    password_path: Path
    password: str = ""

    def ask(self, missing: Sequence[str], *, attempt: bool) -> None:
        """Ask for the *missing* keys; if *attempt*, offer a test mail.

        After a failed test mail, and by Back, the questions can be answered again.
        Raises Back to return to the question before these.
        """
        questions_by_key = {
            "to": self._to,
            "host": self._host,
            "security": self._security,
            "port": self._port,
            "user": self._user,
        }
        steps = [step for key, step in questions_by_key.items() if key in missing]
        while True:
            questions.ask_in_order([*steps, self._ask_password])
            if not self.mail.host:
                self.mail = replace(self.mail, to=[])
                return
            with suppress(Back):  # answer again
                if not attempt or self._arrives():
                    return
                if confirm("Keep this anyway? (No: answer again.)", default=False):
                    return

    def _to(self) -> None:
        text = f"Mail address for alerts about lost slots (empty or {NOBODY}: no mail)"
        check = _optional(mail_address_error)
        answer = self._answer(text, self.mail.sender, check)
        self.mail = replace(self.mail, to=[answer] if answer else [], sender=answer)

    def _host(self) -> None:
        host = ""
        if self.mail.to:
            text = f"Mail server, such as smtp.example.org (empty or {NOBODY}: no mail)"
            host = self._answer(text, self.mail.host, _optional(host_error))
            if not host:
                say("No mail is sent without a mail server; the address is not kept.\n")
        self.mail = replace(self.mail, host=host)

    def _security(self) -> None:
        if not self.mail.host:
            return
        check = partial(security_error, self.mail)
        text = "Security of the connection: starttls, tls or none"
        word = questions.ask(text, self.mail.security, check)
        if word != self.mail.security:
            self.mail = replace(self.mail, port=PORTS[word])
        self.mail = replace(self.mail, security=word)

    def _port(self) -> None:
        if self.mail.host:
            default = str(self.mail.port)
            port = questions.ask("Port", default, port_error)
            self.mail = replace(self.mail, port=int(port))

    def _user(self) -> None:
        if self.mail.host:
            text = f"User name for the mail server (empty or {NOBODY}: no login)"
            check = _optional(partial(user_error, self.mail))
            self.mail = replace(
                self.mail, user=self._answer(text, self.mail.user, check)
            )

    def _ask_password(self) -> None:
        own = str(self.password_path)
        self.password = ""
        if not (self.mail.host and self.mail.user):
            self.mail = replace(self.mail, password_file="")
        elif self.mail.password_file in {"", own}:
            self.password = questions.ask(
                "Password (empty: set it later)", "", hidden=True
            )
            file = own if self.password else ""
            self.mail = replace(self.mail, password_file=file)

    def _arrives(self) -> bool:
        """Offer a test mail; return whether it was accepted, or declined."""
        mail = self.mail

        if not confirm(f"Send a test mail to {', '.join(mail.to)} now?"):
            return True
        password = self.password or Settings(mail=mail).password()
        error = test_mail(mail, server(mail, password))
        say(
            f"{error}\n"
            if error
            else "The mail server accepted it: check that it arrives.\n"
        )
        return not error

    @staticmethod
    def _answer(text: str, default: str, check: questions.Check) -> str:
        answer = questions.ask(text, default, check)
        return "" if answer == NOBODY else answer


def host_error(host: str) -> str:
    """Return why *host* is not the name of a mail server, empty if it is."""
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]+", host):
        return ""
    return f'"{host}" is not a server name, such as smtp.example.org'


def port_error(text: str) -> str:
    """Return why *text* is not a port, empty if it is."""
    valid = text.isdecimal() and 0 < int(text[:6]) <= LAST_PORT
    return "" if valid else f'"{text}" is not a port, such as 587'


def security_error(mail: Mail, word: str) -> str:
    """Return why *word* is not usable as the security of *mail*, empty if it is."""
    if word not in PORTS:
        return f'unknown security "{word}"; known: {", ".join(PORTS)}'
    if word == "none" and mail.host not in LOOPBACK and mail.user:
        return "the password would be sent unencrypted; use starttls or tls"
    return ""


def user_error(mail: Mail, _name: str) -> str:
    """Return why a login to the server of *mail* is unsafe, empty if it is safe."""
    if mail.security == "none" and mail.host not in LOOPBACK:
        return "the password would be sent unencrypted: first change the security (<)"
    return ""
