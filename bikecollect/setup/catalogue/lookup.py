"""Find systems by id or words, in the built-in list and in the saved world list."""

from collections.abc import Sequence

from bikecollect.core.errors import SettingsError
from bikecollect.setup.catalogue import builtin, world
from bikecollect.setup.catalogue.entry import Entry
from bikecollect.setup.catalogue.place_names import other_names
from bikecollect.setup.catalogue.text import fold

MAX_EXAMPLES = 5
"""Maximum examples in a message."""
CLOSE = 0.8
"""Minimum similarity of a misspelled word: of seven letters, one or two differ."""


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

    >>> [entry.system_id for entry in (*search("montreal"), *search("臺中"))]
    ['bixi-montreal', 'tdx-taichung']
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


def similar(words: str) -> list[Entry]:
    """Return the entries whose id, name or place is spelled most like *words*.

    >>> [entry.system_id for entry in similar("Oslo Bysykel")], similar("amsterdam")
    (['oslo-bysykkel'], [])
    """
    from difflib import get_close_matches  # only needed after a mistake

    by_text: dict[str, dict[str, Entry]] = {}
    for entry in entries():
        city = fold(entry.city)
        names = (city, *city.split(), *other_names(entry.city).split())
        for text in (entry.system_id, fold(entry.name), *names):
            by_text.setdefault(text, {})[entry.system_id] = entry
    near = get_close_matches(fold(words).strip(), by_text, 1, CLOSE)
    return [*by_text[near[0]].values()] if near else []


def hint(words: str) -> str:
    """Return what to do about *words* that are no id.

    >>> hint("velib"), hint("amsterdam")[:31]
    ('did you mean velib-paris?', 'get the list of all systems: bi')
    """
    close = search(words) or similar(words)
    if close:
        ids = ", ".join(entry.system_id for entry in close[:MAX_EXAMPLES])
        return f"did you mean {ids}?"
    if world.load() is None:
        return "get the list of all systems: bikecollect feeds update"
    return "see: bikecollect feeds"


def unknown(words: str) -> SettingsError:
    """Return the error for *words* that are no id, with a hint."""
    return SettingsError(
        f'"{words}" is neither an address (https://...) nor in the catalogue; '
        f"{hint(words)}"
    )


def _matches(entry: Entry, wanted: Sequence[str]) -> bool:
    fields = (entry.system_id, entry.name, entry.city, entry.operator, entry.website)
    words = [*fold(" ".join(fields)).split(), *other_names(entry.city).split()]
    return all(
        any(part in word for word in words) or part == entry.country.lower()
        for part in wanted
    )
