"""Names of stations: display names without common prefixes, English, and search."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from unicodedata import category, normalize

PREFIX = re.compile(r"^[^_:|]{2,24}[_:|]\s*(?=\S)")
"""The form of a prefix that many names may share, such as "YouBike2.0_"."""
CHINESE = re.compile("[\u4e00-\u9fff]")
COMMON = 0.1
"""A prefix is hidden if at least this share of the names has it."""
MIN_STATIONS = 3
VARIANTS = str.maketrans({"台": "臺"})
"""Variants of characters, and the characters with which they are compared."""


class StationTexts(NamedTuple):
    """The texts about a station, None if the publisher has none."""

    name: str | None = None
    region: str | None = None
    name_en: str | None = None
    region_en: str | None = None
    address: str | None = None
    address_en: str | None = None


def folded(text: str) -> str:
    r"""Return *text* for comparison: without case, width, accents and variants.

    >>> folded("\uff39ou 台北 Café") == folded("you 臺北 CAFE")
    True
    """
    letters = normalize("NFKD", normalize("NFKC", text).casefold())
    plain = "".join(letter for letter in letters if category(letter) != "Mn")
    return normalize("NFC", plain).translate(VARIANTS)


def matching(texts: Mapping[str, StationTexts], query: str) -> set[str]:
    """Return the ids of the stations whose texts or id contain all words of *query*.

    >>> sorted(matching({"7": StationTexts("Old Mill", "East")}, "east mil"))
    ['7']
    """
    words = folded(query).split()
    return {
        station_id
        for station_id, about in texts.items()
        if _has_all(f"{station_id}\n" + "\n".join(filter(None, about)), words)
    }


def _has_all(text: str, words: Iterable[str]) -> bool:
    text = folded(text)
    return all(word in text for word in words)


def prefixes(names: Iterable[str | None]) -> frozenset[str]:
    """Return the prefixes that many of *names* share, which carry no information.

    >>> prefixes(["YouBike2.0_A", "YouBike2.0_B", "YouBike2.0_C", "D"])
    frozenset({'YouBike2.0_'})
    """
    known = [name for name in names if name]
    starts = Counter(match[0] for name in known if (match := PREFIX.match(name)))
    least = max(MIN_STATIONS, COMMON * len(known))
    return frozenset(start for start, count in starts.items() if count >= least)


def display_names(
    texts: Mapping[str, StationTexts], *, english: bool
) -> dict[str, tuple[str | None, str | None]]:
    """Return the displayed name and area of each station, by its id.

    If *english*, those in English are preferred. Shared prefixes are removed.
    """
    chosen = {
        station_id: (
            (about.name_en if english else None) or about.name,
            (about.region_en if english else None) or about.region,
        )
        for station_id, about in texts.items()
    }
    hidden = prefixes(name for name, _ in chosen.values())
    return {
        station_id: (_without(name, hidden), area)
        for station_id, (name, area) in chosen.items()
    }


def area_names(texts: Mapping[str, StationTexts], *, english: bool) -> dict[str, str]:
    """Return the displayed name of each area, by the publisher's name of it.

    If several areas have one name in English, all keep the publisher's.

    >>> one = StationTexts(region="Port", region_en="Harbour")
    >>> area_names({"1": one, "2": StationTexts(region="Port")}, english=True)
    {'Port': 'Harbour'}
    >>> area_names({"1": one, "2": one._replace(region="Pier")}, english=True)
    {'Port': 'Port', 'Pier': 'Pier'}
    """
    own = {about.region: about.region for about in texts.values() if about.region}
    translated = {
        about.region: about.region_en
        for about in texts.values()
        if about.region and about.region_en
    }
    names = own | translated if english else own
    return names if len(set(names.values())) == len(names) else own


def prefers_english(locale: str | None, texts: Mapping[str, StationTexts]) -> bool:
    """Return whether a browser of *locale* is shown names in English, where published.

    A browser in English is; one in another language is if the publisher's names are in
    Chinese. *locale* is None if it is unknown.

    >>> taipei = {"7": StationTexts("\u6a21\u64ec", name_en="Simport")}
    >>> [prefers_english(locale, taipei) for locale in ("en-GB", "de", "zh-TW", None)]
    [True, True, False, True]
    >>> prefers_english("fr-CA", {"7": StationTexts("Quai", name_en="Quay")})
    False
    """
    language = (locale or "en").partition("-")[0]
    if language in {"en", "zh"}:
        return language == "en"
    return any(CHINESE.search(about.name or "") for about in texts.values())


def _without(name: str | None, hidden: frozenset[str]) -> str | None:
    match = PREFIX.match(name) if name else None
    return name[match.end() :] if name and match and match[0] in hidden else name
