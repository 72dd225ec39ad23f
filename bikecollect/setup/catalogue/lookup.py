"""Find systems by id or words, in the built-in list and in the saved world list."""

from collections.abc import Sequence

from bikecollect.core.errors import SettingsError
from bikecollect.setup.catalogue import builtin, world
from bikecollect.setup.catalogue.entry import Entry
from bikecollect.setup.catalogue.text import fold

MAX_EXAMPLES = 5
"""Maximum examples in a message."""


def entries() -> tuple[Entry, ...]:
    """Return all entries: the built-in ones, then the others of the world list."""
    saved = world.load()
    if saved is None:
        return builtin.CATALOGUE
    known = {entry.url for entry in builtin.CATALOGUE}
    others = (entry for entry in saved.completed() if entry.url not in known)
    return (*builtin.CATALOGUE, *others)


def find(system_id: str) -> Entry | None:
    """Return the entry *system_id*, None if there is none; built-in ones first."""
    entry = builtin.find(system_id)
    if entry is not None:
        return entry
    saved = world.load()
    listed = saved.completed() if saved else ()
    return next((entry for entry in listed if entry.system_id == system_id), None)


def search(words: str, *, country: str = "") -> list[Entry]:
    """Return the entries with all of *words* in id, name, place, operator or website.

    If *words* is an id, only that entry. Case, accents and width are ignored;
    *country* is a code such as FR.

    >>> [entry.system_id for entry in search("montreal")]
    ['bixi-montreal']
    """
    exact = find(words.strip())
    if exact is not None:
        return [exact]
    wanted, code = fold(words).split(), country.upper()
    return [
        entry
        for entry in entries()
        if (not code or entry.country == code) and _matches(entry, wanted)
    ]


def unknown(words: str) -> SettingsError:
    """Return the error for *words* that are no id, with the entries that have them.

    >>> str(unknown("velib")).rpartition("; ")[2]
    'did you mean velib-paris?'
    """
    close = [entry.system_id for entry in search(words)[:MAX_EXAMPLES]]
    hint = f"did you mean {', '.join(close)}?" if close else "see: bikecollect feeds"
    return SettingsError(
        f'"{words}" is neither an address (https://...) nor in the catalogue; {hint}'
    )


def _matches(entry: Entry, wanted: Sequence[str]) -> bool:
    fields = (entry.system_id, entry.name, entry.city, entry.operator, entry.website)
    words = fold(" ".join(fields)).split()
    return all(
        any(part in word for word in words) or part == entry.country.lower()
        for part in wanted
    )
