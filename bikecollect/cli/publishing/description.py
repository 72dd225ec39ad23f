"""The description of a published dataset: its facts, and the documents with them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import Any

from bikecollect import __version__
from bikecollect.cli.publishing.authors import Author
from bikecollect.cli.publishing.tables import WrittenTable
from bikecollect.core.timeline.interval import lengths
from bikecollect.reports import data_dictionary
from bikecollect.reports.coverage import Account
from bikecollect.setup.catalogue.publishers import Publisher

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
MARK = 8
"""Digits of the mark that tells editions of one day apart."""
RESOLVER = "https://doi.org/"
KEYWORDS = ("bike sharing", "station availability", "GBFS", "mobility", "time series")


@dataclass(frozen=True)
class Dataset:
    """The facts of a published dataset.

    *first* and *last* are its local days, in *zone* (or several in turn), *created* is
    the day of its creation; *sources* has the numbers of slots by the source of their
    rows; *slots* are their lengths, and since when; *has_vehicles* is set if single
    vehicles were collected too. Earlier data than *lost_before*, a local time, were
    lost, if it is set; it is not collected any more if *stopped* has its last slot;
    *doi* is one that was reserved for the dataset.
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
    slots: str
    has_vehicles: bool
    lost_before: str = ""
    stopped: str = ""
    doi: str = ""

    @property
    def title(self) -> str:
        """The title in catalogues."""
        return (
            f"Station availability of {self.publisher.title}, {self.first} to "
            f"{self.last}"
        )

    @property
    def version(self) -> str:
        """The day of its creation, with a mark of its tables: ``2026-11-29+0c4f93d1``.

        A corrected edition of the same day has another one, the same tables have not.
        """
        hashes = (f"{table.path} {table.resource['hash']}\n" for table in self.tables)
        mark = sha256("".join(sorted(hashes)).encode("utf-8")).hexdigest()[:MARK]
        return f"{self.created}+{mark}"

    @property
    def summary(self) -> str:
        """The description in catalogues."""
        return (
            f"Snapshots of all stations of the bike-share system "
            f"{self.publisher.title}, one every {self.interval}, from "
            f"{self.first} to {self.last} (local days, {self.zone}). "
            f"{self.account.total.sentence}; every missing slot is listed with its "
            "cause."
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
            "version": self.version,
            "created": f"{self.created}T00:00:00Z",
            "keywords": list(KEYWORDS),
            "contributors": [
                {"title": writer.name, "role": "author"} for writer in self.authors
            ],
            "sources": [_without_empty(title=self._source, path=self.publisher.url)],
        }
        if self.doi:
            document["id"] = f"{RESOLVER}{self.doi}"
        if self.publisher.has_license:
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
            if writer.orcid:
                lines.append(f"    orcid: https://orcid.org/{writer.orcid}")
        if self.doi:
            lines.append(f"doi: {_quoted(self.doi)}")
        lines += [f"date-released: {self.created}", f"version: {_quoted(self.version)}"]
        if self.publisher.license in CFF_LICENSES:
            lines.append(f"license: {self.publisher.license}")
        elif self.publisher.license_url:
            lines.append(f"license-url: {_quoted(self.publisher.license_url)}")
        lines.append("keywords:")
        lines += [f"  - {_quoted(word)}" for word in KEYWORDS]
        return "\n".join(lines) + "\n"

    def zenodo(self) -> str:
        """Return .zenodo.json: the metadata that Zenodo reads, partly as HTML."""
        proofs = "checksums" + " and certificates of days" * self.has_certificates
        metadata: dict[str, Any] = {
            "title": self.title,
            "description": escape(self.summary, quote=False),
            "upload_type": "dataset",
            "access_right": "open",
            "creators": [
                _without_empty(name=writer.name, orcid=writer.orcid)
                for writer in self.authors
            ],
            "keywords": list(KEYWORDS),
            "publication_date": self.created,
            "version": self.version,
            "notes": escape(
                f"Source: {self._source}. Collected with bikecollect {__version__}; "
                f"{proofs} are in the dataset.",
                quote=False,
            ),
        }
        if self.doi:
            metadata["doi"] = self.doi
        if self.publisher.license:
            metadata["license"] = self.publisher.license.lower()
        return _json(metadata)

    @property
    def interval(self) -> str:
        """The length of a slot, or several lengths in turn."""
        return lengths(self.account.intervals)

    @property
    def _source(self) -> str:
        return self.publisher.name or self.publisher.host

    @property
    def has_certificates(self) -> bool:
        """Certificates of days are those of their rows as CSV."""
        return any(table.path.endswith(".csv") for table in self.tables)


def _without_empty(**values: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _quoted(text: str) -> str:
    """Return *text* as a YAML scalar, for which a JSON string is valid."""
    return json.dumps(text, ensure_ascii=False)
