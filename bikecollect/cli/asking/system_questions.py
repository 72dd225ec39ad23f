"""The questions of `init` about systems: which, their names, their time zones."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import click

from bikecollect.cli.asking import questions
from bikecollect.cli.asking.questions import Back
from bikecollect.cli.printing import complain, say
from bikecollect.cli.render.terminal import wrapped
from bikecollect.core.errors import (
    BikecollectError,
    FeedError,
    PayloadError,
    SettingsError,
)
from bikecollect.core.text import count_of
from bikecollect.setup import feed_access, first_run
from bikecollect.setup.catalogue import lookup, world
from bikecollect.setup.catalogue.entry import CLIENT, Entry, access_text
from bikecollect.setup.first_run import NewSystem
from bikecollect.setup.time_zones import is_zone

FIRST = "youbike-taipei"
"""The system that is suggested."""
MANY = 12
"""Maximum systems of the catalogue that are listed after a search."""


@dataclass
class SystemQuestions:
    """Adds *systems*: those of the command line, and those that the user names.

    *timezone* is for systems whose feed does not give one, *client* has the OAuth2
    credentials of feeds that require some. If *attempt*, each feed is tried first.
    """

    timezone: str
    client: dict[str, str]
    attempt: bool
    systems: list[NewSystem] = field(default_factory=list)
    given: str = ""
    """What the user has named before it was asked for."""

    def ask(self, queries: Sequence[str]) -> None:
        """Ask for the systems, unless *queries* names some."""
        if queries:
            self.add(queries, ask=True)
        more = bool(self.given) or not (queries and self.systems)
        while more:
            try:
                more = self._ask_one()
            except Back:
                if self.systems:
                    say(f"{self.systems.pop().system_id} removed.\n")

    def add(self, arguments: Sequence[str], *, ask: bool) -> None:
        """Add the systems *arguments* (--system), each with a unique name."""
        self.systems.clear()
        for argument in arguments:
            name, query = first_run.split_name(argument)
            if name and (error := first_run.name_error(name, self._names)):
                raise click.UsageError(f"--system {argument}: {error}")
            query = _only_match(query)
            new = self._try_system(query, name, ask=ask)
            if new is None:
                say(f"{query} skipped.\n")
                continue
            new = self._with_timezone(new, name, ask=ask)
            if not name and self._has(new):
                complain(f"{query} is given twice; it is collected once")
                continue
            name = name or first_run.free_name(new.system_id, self._names)
            self.systems.append(first_run.with_name(new, name))

    @property
    def _names(self) -> list[str]:
        return [new.system_id for new in self.systems]

    def _has(self, new: NewSystem) -> bool:
        if new.system.url:
            return any(new.system.url == other.system.url for other in self.systems)
        return new.system_id in self._names

    def _ask_one(self) -> bool:
        """Ask for one more system and add it; return False for no more."""
        if self.systems:
            answer = self._question("Another one? (empty for no)", default="")
        else:
            text = "Which system? A city, a name, or a feed's address"
            answer = self._question(text, FIRST)
        if not answer:
            return False
        new = self._try_system(answer, ask=True)
        if new is None:
            return True
        if self._has(new):
            say(f"{answer} was already added.\n")
            return True
        new = self._with_timezone(new, "", ask=True)
        name = first_run.free_name(new.system_id, self._names)
        if new.system.feed:
            check = partial(first_run.name_error, taken=self._names)
            text = "Its name, for its folder and for commands"
            name = questions.ask(text, name, check)
        self.systems.append(first_run.with_name(new, name))
        return True

    def _try_system(self, query: str, name: str = "", *, ask: bool) -> NewSystem | None:
        """Return the system *query*; the user may accept it after a failed trial.

        None if the user wants to name another one.
        """
        entry = lookup.find(query)
        needs_client = entry is not None and entry.auth_type == CLIENT
        if needs_client and not self.client and ask:
            self.client = _ask_client(query)
        client = self.client if needs_client or entry is None else {}
        if not self.attempt:
            return first_run.guess_system(query, client)
        say(f"Trying {query} ...\n")
        try:
            new, result = first_run.try_feed(query, client)
        except (FeedError, PayloadError) as error:
            if entry is not None and not client and (access := access_text(entry)):
                error.add_note(f"{query} requires {access}")
            if not ask:
                error.add_note("use --no-try to write it anyway")
                raise
            say("\n".join((str(error), *getattr(error, "__notes__", ()), "")))
            if self._is_used_anyway():
                return first_run.guess_system(query, client)
            return None
        for line in f"{name or new.system_id}: {result}".splitlines():
            say("\n".join(wrapped(line, "", "  ")) + "\n")
        return new

    def _is_used_anyway(self) -> bool:
        text = "Use it anyway? (No: name another.)"
        return self._confirm_or_name(text, default=False)

    def _confirm_or_name(self, text: str, *, default: bool) -> bool:
        """Ask; an answer that is neither yes nor no names another system."""
        with suppress(Back):
            hint = "Y/n" if default else "y/N"
            answer = questions.ask(f"{text} [{hint}]", "")
            if answer and answer.lower() not in questions.YES_OR_NO:
                self.given = answer
                return False
            return questions.YES_OR_NO.get(answer.lower(), default)
        return False

    def _with_timezone(self, new: NewSystem, name: str, *, ask: bool) -> NewSystem:
        """Return *new* with a time zone; ask for it if the catalogue has none.

        The user has called it *name*, unless that is empty.
        """
        if not new.system.feed or new.system.timezone:
            return new
        zone = self.timezone
        if ask and not is_zone(zone):
            text = f"Time zone of {name or new.system_id}, such as Europe/Paris"
            zone = questions.ask(text, "", _zone_error)
        if not is_zone(zone):
            raise SettingsError(
                f"unknown time zone of {name or new.system_id}: give it with "
                "--timezone, such as Europe/Paris"
            )
        return new._replace(system=replace(new.system, timezone=zone))

    def _question(self, text: str, default: str) -> str:
        """Ask for a system until the answer is an id or an address; empty for no."""
        while True:
            answer = self.given or questions.ask(text, default)
            self.given = ""
            if not answer or first_run.is_address(answer):
                return answer
            if not default and answer.lower() in {"n", "no"}:
                return ""
            if answer.lower() in questions.YES_OR_NO:
                say("Enter a city, a name, or a feed's address.\n")
                continue
            entries = lookup.search(answer)
            if len(entries) == 1:
                say(f"{entries[0].name}, {entries[0].city}\n")
                return entries[0].system_id
            near = entries or lookup.similar(answer)
            offers_list = not near and self.attempt and world.load() is None
            lines = _choice(answer, entries, near, offers_list=offers_list)
            say("".join(f"{line}\n" for line in lines))
            if offers_list and self._gets_the_list():
                self.given = answer  # look for it once more

    def _gets_the_list(self) -> bool:
        """Offer the list of the world's systems; return whether it is there now."""
        text = "Or get the list of the world's systems now, from GitHub?"
        if not self._confirm_or_name(text, default=True):
            return False
        try:
            update = world.update(world.OFFICIAL, now=time.time())
        except BikecollectError as error:
            say(f"{error}\n")
            return False
        say(f"{count_of(len(update.world.entries), 'system')}\n")
        return True


def _choice(
    answer: str, entries: Sequence[Entry], near: Sequence[Entry], *, offers_list: bool
) -> Iterator[str]:
    """Yield lines with what to enter after an *answer* that *entries* have, or none.

    *near* are spelled like it; if *offers_list*, the world list is offered then.
    """
    if not near:
        text = f'"{answer}" is not in the catalogue. Enter the address of its feed'
        more = f", or {lookup.hint(answer)} (in another terminal)" * (not offers_list)
        yield from wrapped(f"{text} (https://...){more}", "", "  ")
    elif entries:
        yield f'Several systems match "{answer}"; enter the id of one:'
    else:
        yield f'"{answer}" is not in the catalogue. Did you mean:'
    for entry in near[:MANY]:
        yield f"  {entry.system_id:<21} {entry.name}, {entry.city}"
    if len(near) > MANY:
        yield f"  and {len(near) - MANY} more: enter another word, too"


def _only_match(query: str) -> str:
    """Return the id of the only entry with the words of *query*, or *query*."""
    entries = [] if first_run.is_address(query) else lookup.search(query)
    return entries[0].system_id if len(entries) == 1 else query


def _ask_client(query: str) -> dict[str, str]:
    """Ask for the OAuth2 credentials of the feed *query*."""
    client_id = questions.ask(f"Client id for {query}", "")
    file = questions.ask("File with the client secret, mode 0600", "")
    return feed_access.client(client_id, file)


def _zone_error(name: str) -> str:
    return "" if is_zone(name) else f'unknown time zone "{name}"'
