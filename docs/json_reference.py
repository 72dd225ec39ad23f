"""What each command prints as JSON, for its page; the keys are beside the code."""

from collections.abc import Iterator, Mapping, Sequence

from bikecollect.cli.commands import basemap, doctor, feeds, schedule
from bikecollect.cli.render import (
    backfill,
    catalogue,
    coverage,
    reports,
    runs,
    station_coverage,
)
from bikecollect.cli.render.programs import archive_json, status_json
from bikecollect.cli.surveying import several
from bikecollect.collect.reporting.run_lines import RUN_KEYS
from bikecollect.core.logs import JSON_KEYS

TIMES = """Times (`slot`, `since`, `until` and the like) are ISO 8601 texts with their
offset from UTC, an empty cell is `null`."""
REPORT = f"""An object for each row; its keys are the columns of the
[report](../reports.md). {TIMES} Without NAME, an object for each report:"""
EXPORT = f"""An object for each row; its keys are the [columns](../archive.md) of the
dataset, and `system_id`. {TIMES}"""
QUERY = """An object for each row; its keys are the columns of the query. Times are as
in the query: whole epoch seconds in the tables."""
CONFIG = """`show`, one object: the [settings](../settings.md) in effect by their keys,
with an object for each table and each system, and `source`, the settings file (`null`
without one). Secrets are masked."""
LOG = """In the log (`--log-format json`, `log.format`) an object for each line; that of
a run's end also has the keys of the run, as above:"""
COPIED = """If there is a mirror, also the objects of [`push`](push.md#json)."""
CERTIFICATES = """An object for each day that was read, its certificate, as in the file
of `--certificates`:"""
JSON: Mapping[str, Sequence[tuple[str, Mapping[str, tuple[str, ...]]]]] = {
    "fetch": [("An object for each system, its run:", RUN_KEYS), (LOG, JSON_KEYS)],
    "runs": [("An object for each run:", runs.KEYS)],
    "status": [
        ("An object for each system:", status_json.KEYS),
        ("With `--all`, an object for each system of a mirror:", several.MIRRORED_KEYS),
    ],
    "doctor": [("An object for each check:", doctor.KEYS)],
    "backfill-report": [
        ("An object for each system:", coverage.KEYS),
        ("With `--stations`, an object for each station:", station_coverage.KEYS),
    ],
    "backfill": [("An object for each slot:", backfill.KEYS)],
    "compact": [("An object for each step:", archive_json.STEP_KEYS), (COPIED, {})],
    "push": [
        ("An object for each day, or for the open days:", archive_json.MIRROR_KEYS)
    ],
    "verify": [
        (CERTIFICATES, archive_json.CERTIFICATE_KEYS),
        ("An object for each finding:", archive_json.FINDING_KEYS),
        ("With `--repair`, first an object for each file:", archive_json.REPAIR_KEYS),
    ],
    "feeds": [
        ("An object for each entry (`list`, `search`, `show`):", catalogue.KEYS),
        ("`try`, one object:", feeds.TRIAL_KEYS),
        ("`update`, one object:", catalogue.UPDATE_KEYS),
    ],
    "schedule": [("`show`, one object:", schedule.KEYS)],
    "basemap": [("`list`, an object for each system:", basemap.KEYS)],
    "config": [(CONFIG, {})],
    "report": [(REPORT, reports.LISTED_KEYS)],
    "export": [(EXPORT, {})],
    "query": [(QUERY, {})],
}
"""The objects of a command, and their keys unless these are described elsewhere."""


def of(name: str) -> Iterator[str]:
    """Yield the lines about the JSON of the command *name*, none without JSON."""
    for place, (what, keys) in enumerate(JSON.get(name, ())):
        yield from ("", what) if place else ("### JSON", "", what)
        if keys:
            yield from ("", "| key | type | meaning | null or absent |")
            yield "|---|---|---|---|"
        for key, (kind, meaning, *missing) in keys.items():
            yield f"| `{key}` | {kind} | {meaning} | {''.join(missing)} |"
    yield from [""] if name in JSON else ()
