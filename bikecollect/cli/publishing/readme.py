"""The README of a published dataset: contents, methods, coverage, licence."""

from dataclasses import replace
from urllib.parse import quote

from bikecollect import __version__
from bikecollect.cli.publishing.description import RESOLVER, Dataset
from bikecollect.core.causes import public_meaning
from bikecollect.core.text import markdown
from bikecollect.setup.catalogue.publishers import Publisher
from bikecollect.storage.data_folder import BACKFILLED

LINKABLE = "!#$%&'*+,/:;=?@[]~"
"""Characters that need no quotes in an address within Markdown."""
CONTENTS = {
    "station_status": "one row per station and slot",
    "stations": "the versions of each station: name, place, capacity, since when",
    "slots": "one row per slot: collected, stale, partial or missing, and why",
    "gaps": "one row per gap: consecutive missing slots with the same cause",
    "runs": "one row per run of the collector: time, outcome, result",
    "coverage": "one row per station and day: its coverage",
}
SOURCES = {
    "fetch": "collected in its slot",
    "recovery": "accepted in its slot, committed by a later run",
    "adopted": "found complete in the daily file, and added to the ledger",
    **dict.fromkeys(BACKFILLED, "committed later from a payload that was kept"),
}
COPIES = {
    "backfill bikecollect": "filled later from another copy of this collection",
    "backfill mirror": "filled later from a mirror of this collection",
}
COLUMNS = (
    "Each column is described in `datapackage.json`. Times are ISO 8601 with the "
    "system's offset in CSV, epoch seconds in Parquet. An empty cell means that the "
    "publisher gave no value."
)
SOURCE = (
    "{credit} (feed: {host}). Licence of the data: {license}. The files contain "
    "what was published at each moment; nothing was corrected."
)
COLLECTED = (
    "Every {interval} bikecollect {version} fetched the publisher's feed and\n"
    "  appended one snapshot of all stations to a file."
)
IMPORTED = (
    "No snapshot was fetched here: bikecollect {version} took all over from another\n"
    "  archive (see below). A missing slot is one that it lacks."
)
METHODS = """
## Methods

- *Collection.* {collection} Days are those of {zone}.
- *Slot.* Time is divided into slots of {slots}, each named by its start. A snapshot
  belongs to the slot in which it was fetched, never to a time stated by the publisher.
- *Missing.* An expected slot without a snapshot. Its cause was derived from the record
  of runs: whether one started, how it ended, whether the machine was off or suspended.
- *Stale.* The feed had old data: its time stamp, or the newest report of its stations,
  did not advance, went backwards, or was 15 minutes old. Such rows are included.
- *Partial.* Stations or documents were missing in the snapshot. Such rows are included.
- *Backfilled.* Slots filled afterwards keep their source in the column `source` of
  `slots`; nothing was interpolated.
- *Unknown docks.* The files have the feed's 0 also where it does not know. In reports:
  Docks that were never above 0 over a day are unknown on that day, unless they were
  known for less than 12 hours of it and above 0 on the day before.
- *Stations that left.* A station has left when it was not listed for 24 hours, from its
  first slot without it; until then, and after a shorter absence, it counts as listed.
- *Not published.* Columns of the runs that describe the collecting machine, and paths
  and addresses of archives from which slots were filled.{vehicles}
"""
VEHICLES = " Rows of\n  single vehicles, which were collected too."
VERIFY = """
## How to check it

`sha256sum -c SHA256SUMS` proves that no file has changed.
"""
CERTIFIED = """
`bikecollect verify FOLDER`, which needs no settings, also recomputes the certificate of
each day in `certificates.jsonl` (the sha256 of the header and of the day's rows in
`station_status.csv`, sorted by slot and station) and compares each slot's number of
rows. `collector_sha256` is the certificate of the day in the collector's own archive:
the same, unless columns changed later.
"""


def readme(dataset: Dataset) -> str:
    """Return README.md: contents, methods, coverage, licence."""
    publisher = _marked(dataset.publisher)
    marked = replace(dataset, publisher=publisher)
    stated = "terms of the publisher" if publisher.license_url else ""
    license_ = publisher.license or stated or "unknown: ask the publisher"
    if publisher.license_url:
        license_ = f"[{license_}]({publisher.license_url})"
    parts = [
        f"# {marked.title}",
        marked.summary,
        "## Files",
        _files(dataset),
        METHODS.format(
            slots=dataset.slots,
            zone=dataset.zone,
            vehicles=VEHICLES if dataset.has_vehicles else "",
            collection=(
                COLLECTED if SOURCES.keys() & dataset.sources else IMPORTED
            ).format(interval=dataset.interval, version=__version__),
        ),
        "## Coverage",
        _coverage(dataset),
        "## How slots were filled",
        _filled(dataset),
        "## Source and licence",
        SOURCE.format(
            credit=publisher.credit,
            host=publisher.host,
            license=license_,
        ),
        "## How to cite it",
        _reference(marked),
        VERIFY,
        *([CERTIFIED] if dataset.has_certificates else []),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _reference(dataset: Dataset) -> str:
    """Return the reference of the dataset, as Markdown."""
    authors = "; ".join(markdown(writer.name) for writer in dataset.authors)
    address = f" <{RESOLVER}{dataset.doi}>" if dataset.doi else ""
    return f"{authors} ({dataset.created[:4]}). {dataset.title} [Data set].{address}"


def _files(dataset: Dataset) -> str:
    lines = ["| file | rows | contains |", "|---|---|---|"]
    lines += [
        f"| `{table.path}` | {table.rows:,} | {CONTENTS[table.resource['title']]} |"
        for table in dataset.tables
    ]
    return "\n".join([*lines, "", COLUMNS])


def _coverage(dataset: Dataset) -> str:
    total = dataset.account.total
    text = (
        f"{total.sentence}, of which {total.stale:,} are stale and {total.partial:,} "
        f"partial; {total.missing:,} are missing."
    )
    if dataset.lost_before:
        text += (
            f" Data from before {dataset.lost_before} were lost: what they had is not "
            "known."
        )
    if dataset.stopped:
        text += (
            f" The system is no longer collected: its last slot is that of "
            f"{dataset.stopped}, and no later one is expected."
        )
    if len(dataset.account.intervals) > 1:
        text += " A slot counts once, however long it is."
    if not dataset.account.causes:
        return text
    lines = ["| cause | missing slots | meaning |", "|---|---|---|"]
    lines += [
        f"| {cause} | {slots:,} | {public_meaning(cause)} |"
        for cause, slots in dataset.account.causes.items()
    ]
    return "\n".join([text, "", *lines])


def _filled(dataset: Dataset) -> str:
    lines = ["| source | slots | meaning |", "|---|---|---|"]
    for source, slots in dataset.sources.items():
        other = COPIES.get(source, "filled later from another archive")
        meant = SOURCES.get(source, other)
        lines.append(f"| {markdown(source)} | {slots:,} | {meant} |")
    return "\n".join(lines)


def _marked(publisher: Publisher) -> Publisher:
    """Return *publisher* with its texts as Markdown; its addresses can be linked to."""
    texts = {
        key: quote(text, safe=LINKABLE) if key.endswith("url") else markdown(text)
        for key, text in publisher._asdict().items()
    }
    return Publisher(**texts)
