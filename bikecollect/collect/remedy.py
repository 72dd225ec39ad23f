"""The remedy for a renamed field: the lines to paste into the settings."""

import logging
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from bikecollect.core.payload import Payload
from bikecollect.core.run import THEN_RUN, Notice
from bikecollect.core.slots import Slot
from bikecollect.core.text import local_minute, visible_toml
from bikecollect.storage.data_folder import REJECTED
from bikecollect.storage.payload_store import read_payload, slot_of
from bikecollect.storage.repair import system_of

if TYPE_CHECKING:
    from bikecollect.collect.commit import Committer
    from bikecollect.feeds.reading.renames import Rename, Renames

log = logging.getLogger(__name__)
BLANK = "NEW_NAME"
"""Stands for a name that could not be guessed: no feed has such a field."""
EXPLAINED = 3
"""Renamed fields that are explained, with the share of equal values."""
KIND = "fields"
"""Kind of the notices that hold lines for the settings, one line each."""


def notices(committer: "Committer", payload: Payload) -> list[Notice]:
    """Return the settings for renamed fields of *payload*, as notices.

    It is compared with the newest kept one. It may have been accepted before its system
    was renamed.
    """
    reader = committer.reader
    kept = committer.payloads.newest_kept(payload.slot)
    before = kept.documents if kept is not None else ()
    renames = reader.feed.renames(before, payload.documents)
    name = system_of(reader.ledger)
    return [Notice(KIND, line) for line in lines(name, committer.fields, renames)]


def for_rejected(committer: "Committer", slots: Collection[Slot]) -> list[str]:
    """Return the settings for renamed fields of the newest rejected payload of *slots*.

    The result is a list of lines, empty if no field was renamed or there is none. The
    first one names the slot: the feed may have changed since.
    """
    payloads = committer.payloads
    names = [name for name in payloads.rejected() if slot_of(name) in slots]
    if not names:
        return []
    try:
        with committer.bounded():
            payload = read_payload(payloads.path(names[-1], REJECTED))
            texts = [notice.text for notice in notices(committer, payload)]
            slot = local_minute(payload.slot, committer.zone, payload.slot)
            return texts and [f"in the newest of these payloads, of {slot}:", *texts]
    except Exception:
        log.exception(
            "a bug while looking for renamed fields", extra={"is_reported": True}
        )
        return []


def lines(system_id: str, fields: Mapping[str, str], renames: "Renames") -> list[str]:
    """Return an explanation of *renames*, the lines to paste, and the command to run.

    Runs of earlier versions have the command at the end of the explanation. *fields*
    are the fields that the settings already have.

    >>> from bikecollect.feeds.reading.renames import Rename, Renames
    >>> lines("a", {}, Renames((Rename("capacity", "tot", "size"),)))[2:]
    ['[systems.a.fields]', 'capacity = "size"', 'then run: bikecollect backfill a']
    """
    texts = [*_explanations(renames)]
    if renames.renames:
        new = {rename.column: rename.after for rename in renames.renames}
        merged = {**fields, **new}
        put = f"to continue, put these lines {_place(fields)}:"
        texts += [put, *_table(system_id, merged), _then(system_id)]
    elif renames.unexplained and renames.unknown:
        only = _only_candidate(renames)
        merged = {**fields, **dict.fromkeys(renames.unexplained, only or BLANK)}
        condition = f"{only} is its new name" if only else "one of them is the new name"
        where = "" if only else f", with it in place of {BLANK},"
        put = f"if {condition}, put these lines{where} {_place(fields)}:"
        texts += [put, *_table(system_id, merged), _then(system_id)]
    return texts


def _place(fields: Mapping[str, str]) -> str:
    """Return where the lines go in the settings, which may have *fields* already."""
    instead = " in place of that table" if fields else ""
    return f"at the end of the settings file{instead}"


def _then(system_id: str) -> str:
    return f"{THEN_RUN}bikecollect backfill {system_id}"


def _only_candidate(renames: "Renames") -> str:
    """Return the only unread field if a single one is lost, else an empty text."""
    is_clear = len(renames.unexplained) == len(renames.unknown) == 1
    return next(iter(renames.unknown)) if is_clear else ""


def _table(system_id: str, fields: Mapping[str, str]) -> list[str]:
    return [
        f"[systems.{_key(system_id)}.fields]",
        *(f"{column} = {visible_toml(name)}" for column, name in fields.items()),
    ]


def _explanations(renames: "Renames") -> Iterator[str]:
    if renames.renames:
        names = [*dict.fromkeys(map(_rename_text, renames.renames))]
        # The lines to paste name them all, and must not be cut.
        more = f", and {len(names) - EXPLAINED} more" if names[EXPLAINED:] else ""
        shown = ", ".join(names[:EXPLAINED])
        yield f"most likely a field was renamed: {shown}{more}"
    if renames.unexplained and renames.unknown:
        lost, unknown = ", ".join(renames.unexplained), ", ".join(renames.unknown)
        yield f"it is unclear which field is now {lost}; unread fields: {unknown}"


def _rename_text(rename: "Rename") -> str:
    if not rename.stations:
        return f"{rename.before} is now {rename.after}"
    share = f"{rename.same} of {rename.stations} stations have the same value"
    return f"{rename.before} is now {rename.after} ({share})"


def _key(system_id: str) -> str:
    return visible_toml(system_id) if "." in system_id else system_id
