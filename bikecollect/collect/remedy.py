"""The remedy for a renamed field: the lines that a person pastes into the settings."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bikecollect.core.payload import Payload
from bikecollect.core.run import Notice
from bikecollect.core.text import visible_toml
from bikecollect.feeds import Feed

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Rename, Renames
    from bikecollect.storage.payload_store import Payloads

KIND = "fields"
"""Of notices that say what to put into the settings, a line each."""


def notices(
    feed: Feed, payload: Payload, payloads: "Payloads", fields: Mapping[str, str]
) -> list[Notice]:
    """Return what to do where a field of *payload* has another name than before.

    It is compared with the newest of the *payloads* that are kept.
    """
    kept = payloads.newest_kept(payload.slot)
    before = kept.documents if kept is not None else ()
    renames = feed.renames(before, payload.documents)
    return [Notice(KIND, each) for each in lines(payload.system_id, fields, renames)]


def lines(system_id: str, fields: Mapping[str, str], renames: "Renames") -> list[str]:
    """Return what to tell a person, and the very lines to paste into the settings.

    *fields* are those that the settings have already.

    >>> from bikecollect.feeds.reading.renames import Rename, Renames
    >>> lines("city", {}, Renames((Rename("capacity", "tot", "size"),)))[2:]
    ['[systems.city.fields]', 'capacity = "size"']
    """
    told = [*_told(renames)]
    if renames.found:
        merged = {**fields, **{each.column: each.after for each in renames.found}}
        told.append(
            "to go on, put these lines at the end of the settings file"
            f"{' in place of that table' if fields else ''}, then run: bikecollect "
            f"backfill {system_id}"
        )
        told += [
            f"[systems.{_key(system_id)}.fields]",
            *(f"{column} = {visible_toml(name)}" for column, name in merged.items()),
        ]
    return told


def _told(renames: "Renames") -> Iterator[str]:
    if renames.found:
        words = dict.fromkeys(_words(each) for each in renames.found)
        yield f"most likely a field has another name now: {', '.join(words)}"
    if renames.unexplained and renames.strange:
        lost, strange = ", ".join(renames.unexplained), ", ".join(renames.strange)
        yield f"no new field fits {lost}; fields that are not read: {strange}"


def _words(rename: "Rename") -> str:
    if not rename.stations:
        return f"{rename.before} is {rename.after}"
    share = f"{rename.same} of {rename.stations} stations have the same value"
    return f"{rename.before} is {rename.after} ({share})"


def _key(system_id: str) -> str:
    return visible_toml(system_id) if "." in system_id else system_id
