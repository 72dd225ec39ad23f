"""The remedy for a renamed field: the lines to paste into the settings."""

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
"""Kind of the notices that hold lines for the settings, one line each."""


def notices(
    feed: Feed, payload: Payload, payloads: "Payloads", fields: Mapping[str, str]
) -> list[Notice]:
    """Return what to do about renamed fields of *payload*.

    It is compared with the newest kept one of *payloads*.
    """
    kept = payloads.newest_kept(payload.slot)
    before = kept.documents if kept is not None else ()
    renames = feed.renames(before, payload.documents)
    return [Notice(KIND, line) for line in lines(payload.system_id, fields, renames)]


def lines(system_id: str, fields: Mapping[str, str], renames: "Renames") -> list[str]:
    """Return an explanation of *renames*, and the lines to paste into the settings.

    *fields* are the overrides that the settings have already.

    >>> from bikecollect.feeds.reading.renames import Rename, Renames
    >>> lines("city", {}, Renames((Rename("capacity", "tot", "size"),)))[2:]
    ['[systems.city.fields]', 'capacity = "size"']
    """
    texts = [*_explanations(renames)]
    if renames.renames:
        new = {rename.column: rename.after for rename in renames.renames}
        merged = {**fields, **new}
        texts.append(
            "to continue, put these lines at the end of the settings file"
            f"{' in place of that table' if fields else ''}, then run: bikecollect "
            f"backfill {system_id}"
        )
        texts += [
            f"[systems.{_key(system_id)}.fields]",
            *(f"{column} = {visible_toml(name)}" for column, name in merged.items()),
        ]
    return texts


def _explanations(renames: "Renames") -> Iterator[str]:
    if renames.renames:
        names = dict.fromkeys(_rename_text(rename) for rename in renames.renames)
        yield f"most likely a field was renamed: {', '.join(names)}"
    if renames.unexplained and renames.unknown:
        lost, unknown = ", ".join(renames.unexplained), ", ".join(renames.unknown)
        yield f"no new field matches {lost}; unread fields: {unknown}"


def _rename_text(rename: "Rename") -> str:
    if not rename.stations:
        return f"{rename.before} is now {rename.after}"
    share = f"{rename.same} of {rename.stations} stations have the same value"
    return f"{rename.before} is now {rename.after} ({share})"


def _key(system_id: str) -> str:
    return visible_toml(system_id) if "." in system_id else system_id
