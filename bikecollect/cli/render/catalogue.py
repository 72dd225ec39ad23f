"""Entries of the catalogue as a table, as text, as JSON and as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bikecollect.cli.render.terminal import WIDTH, columns, wrapped
from bikecollect.core.text import count_of, visible, visible_json
from bikecollect.setup.catalogue.entry import Entry, access_text, requires_key
from bikecollect.setup.catalogue.world import Update
from bikecollect.setup.first_run import from_entry, system_table

MAX_ID, MAX_CITY = 40, 24
MAX_PROBLEMS = 20
SPREADSHEET_FORMULA = ("=", "+", "-", "@")


def table(entries: Sequence[Entry]) -> str:
    """Return *entries* as a table for people."""
    if not entries:
        return (
            "No such system in the catalogue. Get the list of all systems:\n"
            "  bikecollect feeds update\n"
            "or try the address of a feed:\n"
            "  bikecollect feeds try https://...\n"
        )
    if columns() < WIDTH:
        return "\n".join(map(_paragraph, entries))
    id_width = max(21, min(MAX_ID, max(len(entry.system_id) for entry in entries)))
    city_width = max(15, min(MAX_CITY, max(len(entry.city) for entry in entries)))
    lines = [f"{'id':<{id_width}} {'city':<{city_width}} {'in'}  name"]
    lines += [
        f"{entry.system_id:<{id_width}} {entry.city:<{city_width}} "
        f"{entry.country:<2}  {_name(entry)}"
        for entry in entries
    ]
    return "".join(f"{visible(line)}\n" for line in lines)


def _name(entry: Entry) -> str:
    return f"{entry.name}{' (key)' if requires_key(entry) else ''}"


def _paragraph(entry: Entry) -> str:
    """Return *entry* as lines for a narrow terminal."""
    place = ", ".join(filter(None, (entry.city, entry.country)))
    texts = filter(None, (place, _name(entry)))
    lines = [line for text in texts for line in wrapped(visible(text), "  ")]
    return "\n".join([visible(entry.system_id), *lines, ""])


def description(entry: Entry) -> str:
    """Return all facts of *entry*, and the settings to collect it."""
    place = ", ".join(filter(None, (entry.name, entry.city)))
    operator = f", operated by {entry.operator}" if entry.operator else ""
    new = from_entry(entry)
    known = {None: "unknown", True: "yes", False: "no"}
    rows = [
        ("dialect", entry.feed),
        ("versions", ", ".join(entry.versions)),
        ("time zone", new.system.timezone or entry.timezone or "unknown"),
        ("website", entry.website),
        ("stations", "" if entry.timezone else known[entry.stations]),
        ("access", access_text(entry)),
    ]
    lines = [f"{name + ':':<10} {value}" for name, value in rows if value]
    head = wrapped(f"{place} ({entry.country}){operator}")
    text = "\n".join([*head, *lines])
    return (
        f"{visible(text, lines=True)}\naddress:\n  {visible(entry.url)}\n\n"
        f"The settings to collect it:\n\n{system_table(new)}"
    )


def json_lines(entries: Sequence[Entry]) -> str:
    """Return *entries* as JSON, one object per line."""
    return "".join(f"{visible_json(_values(entry))}\n" for entry in entries)


def csv_text(entries: Sequence[Entry]) -> str:
    """Return *entries* as CSV with a header."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for entry in entries:
        values = _values(entry)
        values["versions"] = " ".join(entry.versions)
        values["authentication"] = access_text(entry)
        writer.writerow([_cell(values[column]) for column in CSV_COLUMNS])
    return file.getvalue()


KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the system's id"),
    "name": ("text", "its name"),
    "city": ("text", "its place"),
    "country": ("text", "ISO 3166 code of two letters"),
    "operator": ("text", "the operator; empty while unknown"),
    "timezone": ("text", "IANA name; empty while unknown"),
    "feed": ("text", "the dialect"),
    "url": ("text", "the feed's address"),
    "website": ("text", "of the system", "null if unknown"),
    "versions": ("list of texts", "versions of GBFS; empty if the list has none"),
    "authentication": ("object", "how the feed's key is sent", "null without a key"),
    "authentication.type": ("text", "as in the list", "null if unknown"),
    "authentication.parameter": ("text", "header or parameter", "null if unknown"),
    "authentication.info_url": ("text", "where to get a key", "null if unknown"),
    "stations": ("boolean", "whether it has stations", "null while unknown"),
    "list": ("text", "built-in or world"),
}
"""The keys of `json_lines`, see `run_lines.RUN_KEYS`."""
CSV_COLUMNS = tuple(key for key in KEYS if "." not in key)


def _values(entry: Entry) -> dict[str, Any]:
    """Return *entry* by its JSON keys."""
    key = {
        "type": entry.auth_type or None,
        "parameter": entry.auth_parameter or None,
        "info_url": entry.auth_info or None,
    }
    return {
        "system": entry.system_id,
        "name": entry.name,
        "city": entry.city,
        "country": entry.country,
        "operator": entry.operator,
        "timezone": entry.timezone,
        "feed": entry.feed,
        "url": entry.url,
        "website": entry.website or None,
        "versions": list(entry.versions),
        "authentication": key if requires_key(entry) else None,
        "stations": entry.stations,
        "list": entry.source,
    }


def _cell(value: object) -> str:
    text = {None: "", True: "true", False: "false"}.get(value, str(value))  # type: ignore[call-overload]
    # A spreadsheet would run a formula.
    return f"'{text}" if text.startswith(SPREADSHEET_FORMULA) else str(text)


def update_text(update: Update) -> str:
    """Return the result of *update* for people: counts, and the skipped rows."""
    world = update.world
    systems = count_of(len(world.entries), "system")
    lines = [
        f"{systems}, {update.added} new, {update.removed} gone",
        f"from: {world.source}",
        f"saved: {update.path}",
    ]
    lines += [f"line {p.line}: {p.text}" for p in update.problems[:MAX_PROBLEMS]]
    if len(update.problems) > MAX_PROBLEMS:
        lines.append(f"and {len(update.problems) - MAX_PROBLEMS} more skipped rows")
    return "".join(f"{visible(line)}\n" for line in lines)


def update_json(update: Update) -> str:
    """Return the result of *update* as JSON."""
    values = {
        "systems": len(update.world.entries),
        "added": update.added,
        "removed": update.removed,
        "source": update.world.source,
        "updated": datetime.fromtimestamp(update.world.updated, UTC).isoformat(
            timespec="seconds"
        ),
        "file": str(update.path),
        "skipped": [{"line": p.line, "reason": p.text} for p in update.problems],
    }
    return f"{visible_json(values)}\n"


UPDATE_KEYS: Mapping[str, tuple[str, ...]] = {
    "systems": ("integer", "systems in the new list"),
    "added": ("integer", "those that the old list had not"),
    "removed": ("integer", "systems that only the old list had"),
    "source": ("text", "the file or the address"),
    "updated": ("time", "when it was read"),
    "file": ("text", "where it is saved"),
    "skipped": ("list of objects", "rows that cannot be used"),
    "skipped[].line": ("integer", "line in the file"),
    "skipped[].reason": ("text", "why it cannot be used"),
}
"""The keys of `update_json`, see `run_lines.RUN_KEYS`."""
