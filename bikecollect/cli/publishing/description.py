"""The description of a published dataset: its facts, and the documents with them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, NamedTuple
from urllib.parse import quote

from bikecollect import __version__
from bikecollect.cli.publishing.tables import WrittenTable
from bikecollect.core.causes import meaning
from bikecollect.core.text import lengths, markdown, percent
from bikecollect.reports import data_dictionary
from bikecollect.reports.coverage import Account
from bikecollect.setup.catalogue.publishers import Publisher
from bikecollect.storage.data_folder import BACKFILLED

CFF_LICENSES = frozenset(
    {
        "CC0-1.0",
        "CC-BY-3.0",
        "CC-BY-4.0",
        "CC-BY-NC-4.0",
        "CC-BY-SA-4.0",
        "etalab-2.0",
        "NLOD-1.0",
        "ODbL-1.0",
        "ODC-By-1.0",
        "OGDL-Taiwan-1.0",
        "OGL-UK-3.0",
        "PDDL-1.0",
    }
)
"""SPDX ids of licences of data that the Citation File Format 1.2.0 knows."""
LINKABLE = "!#$%&'*+,/:;=?@[]~"
"""Characters that need no quotes in an address within Markdown."""
KEYWORDS = ("bike sharing", "station availability", "GBFS", "mobility", "time series")


class Author(NamedTuple):
    """An author of a dataset: a person with *given* and *family* name, or a name."""

    name: str
    family: str = ""
    given: str = ""


def author(text: str) -> Author:
    """Return the author in *text*: "Family, Given" is a person, other text a name.

    >>> author("Lovelace, Ada").given, author("City of X").family
    ('Ada', '')
    """
    family, comma, given = (part.strip() for part in text.partition(","))
    if comma and family and given:
        return Author(f"{family}, {given}", family, given)
    return Author(text.strip())


@dataclass(frozen=True)
class Dataset:
    """The facts of a published dataset.

    *first* and *last* are its local days, in *zone* (or several in turn), *created* is
    the day of its creation; *sources* has the numbers of slots by the source of their
    rows. Earlier data than *lost_before*, a local time, were lost, if it is set.
    """

    system_id: str
    zone: str
    first: str
    last: str
    created: str
    publisher: Publisher
    authors: Sequence[Author]
    account: Account
    tables: Sequence[WrittenTable]
    sources: Mapping[str, int]
    lost_before: str = ""

    @property
    def title(self) -> str:
        """The title in catalogues."""
        return (
            f"Station availability of {self.publisher.title}, {self.first} to "
            f"{self.last}"
        )

    @property
    def summary(self) -> str:
        """The description in catalogues."""
        total = self.account.total
        return (
            f"Snapshots of all stations of the bike-share system "
            f"{self.publisher.title}, one every {self._interval}, from "
            f"{self.first} to {self.last} (local days, {self.zone}). "
            f"{total.collected:,} of {total.expected:,} expected slots were collected "
            f"({percent(total.ratio)}); every missing slot is listed with its cause."
        )

    def data_package(self) -> str:
        """Return datapackage.json (Frictionless Data Package 1)."""
        resources = [table.resource for table in self.tables]
        document = data_dictionary.package(
            f"bikecollect-{self.system_id}".lower(), resources, __version__
        )
        document |= {
            "profile": "data-package",
            "title": self.title,
            "description": self.summary,
            "version": self.created,
            "created": f"{self.created}T00:00:00Z",
            "keywords": list(KEYWORDS),
            "contributors": [
                {"title": writer.name, "role": "author"} for writer in self.authors
            ],
            "sources": [_without_empty(title=self._source, path=self.publisher.url)],
        }
        if self.publisher.license or self.publisher.license_url:
            document["licenses"] = [
                _without_empty(
                    name=self.publisher.license, path=self.publisher.license_url
                )
            ]
        return _json(document)

    def citation(self) -> str:
        """Return CITATION.cff (Citation File Format 1.2.0)."""
        lines = [
            "cff-version: 1.2.0",
            "message: If you use this dataset, please cite it as below.",
            "type: dataset",
            f"title: {_quoted(self.title)}",
            f"abstract: {_quoted(self.summary)}",
            "authors:",
        ]
        for writer in self.authors:
            if writer.family:
                lines.append(f"  - family-names: {_quoted(writer.family)}")
                lines.append(f"    given-names: {_quoted(writer.given)}")
            else:
                lines.append(f"  - name: {_quoted(writer.name)}")
        lines += [f"date-released: {self.created}", f"version: {_quoted(self.created)}"]
        if self.publisher.license in CFF_LICENSES:
            lines.append(f"license: {self.publisher.license}")
        elif self.publisher.license_url:
            lines.append(f"license-url: {_quoted(self.publisher.license_url)}")
        lines.append("keywords:")
        lines += [f"  - {_quoted(word)}" for word in KEYWORDS]
        return "\n".join(lines) + "\n"

    def zenodo(self) -> str:
        """Return .zenodo.json: the metadata that Zenodo reads, partly as HTML."""
        proofs = "checksums" + " and certificates of days" * self._has_certificates
        metadata: dict[str, Any] = {
            "title": self.title,
            "description": escape(self.summary, quote=False),
            "upload_type": "dataset",
            "access_right": "open",
            "creators": [{"name": writer.name} for writer in self.authors],
            "keywords": list(KEYWORDS),
            "publication_date": self.created,
            "version": self.created,
            "notes": escape(
                f"Source: {self._source}. Collected with bikecollect {__version__}; "
                f"{proofs} are in the dataset.",
                quote=False,
            ),
        }
        if self.publisher.license:
            metadata["license"] = self.publisher.license.lower()
        return _json(metadata)

    def readme(self) -> str:
        """Return README.md: contents, methods, coverage, licence."""
        publisher = _marked(self.publisher)
        marked = replace(self, publisher=publisher)
        stated = "terms of the publisher" if publisher.license_url else ""
        license_ = publisher.license or stated or "unknown: ask the publisher"
        if publisher.license_url:
            license_ = f"[{license_}]({publisher.license_url})"
        parts = [
            f"# {marked.title}",
            marked.summary,
            "## Files",
            self._files(),
            METHODS.format(
                interval=self._interval,
                zone=self.zone,
                collection=(
                    COLLECTED if SOURCES.keys() & self.sources else IMPORTED
                ).format(interval=self._interval, version=__version__),
            ),
            "## Coverage",
            self._coverage(),
            "## How slots were filled",
            self._filled(),
            "## Source and licence",
            SOURCE.format(
                credit=publisher.credit,
                host=publisher.host,
                license=license_,
            ),
            VERIFY,
            *([CERTIFIED] if self._has_certificates else []),
        ]
        return "\n\n".join(part.strip() for part in parts) + "\n"

    @property
    def _interval(self) -> str:
        return lengths(self.account.intervals)

    @property
    def _source(self) -> str:
        return self.publisher.name or self.publisher.host

    @property
    def _has_certificates(self) -> bool:
        """Certificates of days are those of their rows as CSV."""
        return any(table.path.endswith(".csv") for table in self.tables)

    def _files(self) -> str:
        lines = ["| file | rows | contains |", "|---|---|---|"]
        lines += [
            f"| `{table.path}` | {table.rows:,} | {CONTENTS[table.resource['title']]} |"
            for table in self.tables
        ]
        return "\n".join([*lines, "", COLUMNS])

    def _coverage(self) -> str:
        total = self.account.total
        text = (
            f"{total.collected:,} of {total.expected:,} expected slots were collected "
            f"({percent(total.ratio)}), of which {total.stale:,} are stale and "
            f"{total.partial:,} partial; {total.missing:,} are missing."
        )
        if self.lost_before:
            text += (
                f" Data of before {self.lost_before} were lost: what they had is not "
                "known."
            )
        if not self.account.causes:
            return text
        lines = ["| cause | missing slots | meaning |", "|---|---|---|"]
        lines += [
            f"| {cause} | {slots:,} | {meaning(cause)} |"
            for cause, slots in self.account.causes.items()
        ]
        return "\n".join([text, "", *lines])

    def _filled(self) -> str:
        lines = ["| source | slots | meaning |", "|---|---|---|"]
        for source, slots in self.sources.items():
            meant = SOURCES.get(source, "filled later from another archive")
            lines.append(f"| {markdown(source)} | {slots:,} | {meant} |")
        return "\n".join(lines)


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
- *Slot.* Time is divided into slots of {interval}, each named by its start. A snapshot
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
- *Not published.* Columns of the runs that describe the collecting machine.
"""
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


def _marked(publisher: Publisher) -> Publisher:
    """Return *publisher* with its texts as Markdown; its addresses can be linked to."""
    texts = {
        key: quote(text, safe=LINKABLE) if key.endswith("url") else markdown(text)
        for key, text in publisher._asdict().items()
    }
    return Publisher(**texts)


def _without_empty(**values: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _quoted(text: str) -> str:
    """Return *text* as a YAML scalar, for which a JSON string is valid."""
    return json.dumps(text, ensure_ascii=False)
