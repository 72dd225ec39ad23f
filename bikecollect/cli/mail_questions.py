"""The questions of `init` about mail: whom to tell, by which server; and a try."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bikecollect.cli import questions
from bikecollect.cli.options import say
from bikecollect.cli.questions import sure
from bikecollect.setup import first_run
from bikecollect.setup.doctor import test_mail
from bikecollect.setup.settings import Mail, Settings, server, wrong_mail_address

NOBODY = "none"


def _optional(wrong: Callable[[str], str]) -> Callable[[str], str]:
    """Return *wrong* for a question that may be left empty."""
    return lambda answer: "" if answer in {"", NOBODY} else wrong(answer)


@dataclass
class MailQuestions:
    """Asks for what *mail* lacks; a password is for the file *beside* the settings."""

    mail: Mail
    beside: Path
    password: str = ""

    def ask(self, unasked: Sequence[str], *, attempt: bool) -> None:
        """Ask the questions *unasked*, by their keys; with *attempt*, try the mail.

        Who is not content with what the try says is asked again. Raises Back for the
        question before all of these.
        """
        known = {
            "to": self._to,
            "host": self._host,
            "security": self._security,
            "port": self._port,
            "user": self._user,
        }
        steps = [step for key, step in known.items() if key in unasked]
        while True:
            questions.in_turn([*steps, self._ask_password])
            if not self.mail.host:
                self.mail = replace(self.mail, to=[])
                return
            if not attempt or self._arrives():
                return
            if sure("Keep this all the same? (No: answer again.)", default=False):
                return

    def _to(self) -> None:
        text = f"Your mail address, to tell of lost slots (empty or {NOBODY}: nobody)"
        check = _optional(wrong_mail_address)
        answer = self._answer(text, self.mail.sender, check)
        self.mail = replace(self.mail, to=[answer] if answer else [], sender=answer)

    def _host(self) -> None:
        host = ""
        if self.mail.to:
            text = f"Mail server, such as smtp.example.org (empty or {NOBODY}: no mail)"
            host = self._answer(text, self.mail.host, _optional(first_run.wrong_host))
            if not host:
                say("Without a mail server nobody is told.\n")
        self.mail = replace(self.mail, host=host)

    def _security(self) -> None:
        if not self.mail.host:
            return
        check = partial(first_run.wrong_security, self.mail)
        text = "How it is secured: starttls, tls or none"
        word = questions.ask(text, self.mail.security, check)
        if word != self.mail.security:
            self.mail = replace(self.mail, port=first_run.PORTS[word])
        self.mail = replace(self.mail, security=word)

    def _port(self) -> None:
        if self.mail.host:
            usual = str(self.mail.port)
            port = questions.ask("Its port", usual, first_run.wrong_port)
            self.mail = replace(self.mail, port=int(port))

    def _user(self) -> None:
        if self.mail.host:
            text = f"Name to log in there with (empty or {NOBODY}: no login)"
            check = _optional(partial(first_run.wrong_user, self.mail))
            self.mail = replace(
                self.mail, user=self._answer(text, self.mail.user, check)
            )

    def _ask_password(self) -> None:
        own = str(self.beside)
        self.password = ""
        if not (self.mail.host and self.mail.user):
            self.mail = replace(self.mail, password_file="")
        elif self.mail.password_file in {"", own}:
            self.password = questions.ask("Password (empty: later)", "", hidden=True)
            file = own if self.password else ""
            self.mail = replace(self.mail, password_file=file)

    def _arrives(self) -> bool:
        """Offer a test mail; return whether it went, or was not wanted."""
        mail = self.mail
        if not sure(f"Send a test mail to {', '.join(mail.to)} now?"):
            return True
        password = self.password or Settings(mail=mail).password()
        error = test_mail(mail, server(mail, password))
        say(f"{error}\n" if error else "It is on its way: look whether it arrives.\n")
        return not error

    @staticmethod
    def _answer(text: str, usual: str, check: questions.Check) -> str:
        answer = questions.ask(text, usual, check)
        return "" if answer == NOBODY else answer
