"""Copies of a data folder with a damaged archive, and the reports of Spark on them."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

ROWS = "archive/station_status/system_id=city/date={}/part.parquet"
CERTIFICATE = "archive/certificates/system_id=city/{}.json"
FIRST, SECOND, LAST = "2026-11-22", "2026-11-23", "2026-11-24"
HISTORY = ["history", "--station", "0001", "--since", FIRST, "--until", LAST]
HISTORY += ["--format", "csv"]


def damaged(data: Path, folder: Path) -> dict[str, Path]:
    """Return copies of the data folder *data* in *folder*, by what is wrong there.

    Two days are damaged: one file is cut, another one was replaced and its certificate
    was not. One day is half archived: it has no certificate yet.
    """
    names = ("damaged", "half archived", "outdated", "uncertified")
    copies = {name: folder / name / "bikes" for name in names}
    for copy in copies.values():
        shutil.copytree(data, copy)
    for name in ("damaged", "half archived"):
        rows = copies[name] / ROWS.format(SECOND)
        rows.write_bytes(rows.read_bytes()[: rows.stat().st_size // 2])
    other = copies["outdated"] / ROWS.format(LAST)
    shutil.copy(other, copies["damaged"] / ROWS.format(FIRST))
    (copies["half archived"] / CERTIFICATE.format(LAST)).unlink()
    certificate = copies["outdated"] / CERTIFICATE.format(SECOND)
    values = json.loads(certificate.read_bytes())
    del values["parts"]["profile"]["format"]
    certificate.write_text(json.dumps(values), encoding="utf-8")
    shutil.rmtree(copies["uncertified"] / "archive/certificates")
    return copies


def commands(copies: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the reports that Spark runs on the *copies*, one of them by its URL."""
    archives = {name: str(copy / "archive") for name, copy in copies.items()}
    return {
        "damaged": [*HISTORY, "--archive", archives["damaged"]],
        "half archived": [*HISTORY, "--archive", f"file://{archives['half archived']}"],
        "uncertified": [*HISTORY, "--archive", archives["uncertified"]],
        "outdated": ["hours", "--format", "csv", "--archive", archives["outdated"]],
    }
