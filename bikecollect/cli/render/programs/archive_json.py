"""The output of `compact`, `push` and `verify`, as JSON."""

import json
from collections.abc import Mapping

from bikecollect.archive.certificates import Certificate, Finding
from bikecollect.archive.compact import Step
from bikecollect.archive.day_csv import DaySummary
from bikecollect.archive.mirror.push import MirrorStep
from bikecollect.core.text import visible_json
from bikecollect.storage.repair import Repair


def step_json(step: Step) -> str:
    """Return a step of compaction as a line of JSON."""
    return (
        visible_json(
            {
                "system": step.system_id,
                "date": step.day,
                "what": step.what,
                "rows": step.rows,
                "slots": step.slots,
                "before_bytes": step.before,
                "after_bytes": step.after,
                "why": step.why,
            }
        )
        + "\n"
    )


STEP_KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the system; `NAME/vehicles` for its vehicles"),
    "date": ("date", "the day, in the zone of the system"),
    "what": (
        "text",
        (
            "archived, let go (its CSV was removed), kept, lost, failed, restored "
            "(into the ledger), summed up, not summed up"
        ),
    ),
    "rows": ("integer", "rows of the day"),
    "slots": ("integer", "slots with data"),
    "before_bytes": ("integer, bytes", "size as CSV"),
    "after_bytes": ("integer, bytes", "size in the archive"),
    "why": ("text", "why nothing could be done; empty if it was"),
}
"""The keys of `step_json`, see `run_lines.RUN_KEYS`."""


def mirror_json(step: MirrorStep) -> str:
    """Return a step of copying to the mirror as a line of JSON."""
    values = {
        "system": step.system_id,
        "date": step.day,
        "what": f"mirror {step.what}",
        "bytes": step.size,
        "why": step.why,
    }
    return visible_json(values) + "\n"


MIRROR_KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the system; `NAME/vehicles` for its vehicles"),
    "date": ("date", "the day; empty for all open days (`--live`)"),
    "what": (
        "text",
        "mirror copied, mirror replaced, mirror conflict, mirror failed, mirror live",
    ),
    "bytes": ("integer, bytes", "size of what was copied"),
    "why": ("text", "why it was not copied; empty if it was"),
}
"""The keys of `mirror_json`, see `run_lines.RUN_KEYS`."""


def certificate_json(certificate: Certificate) -> str:
    """Return a day's certificate as a line of JSON that `certificate` reads back."""
    summary = certificate.summary
    values = {
        "system": certificate.system_id,
        "date": certificate.date,
        "slots": summary.slots,
        "rows": summary.rows,
        "sha256": summary.sha256,
        "where": certificate.where,
    }
    return json.dumps(values) + "\n"


CERTIFICATE_KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the system; `NAME/vehicles` for its vehicles"),
    "date": ("date", "the day, in the zone of the system"),
    "slots": ("integer", "slots with data"),
    "rows": ("integer", "rows"),
    "sha256": ("text", "of the header and the rows in their order, as CSV"),
    "where": ("text", "where the rows were read: csv or archive"),
}
"""The keys of `certificate_json`, see `run_lines.RUN_KEYS`."""


def certificate(line: str) -> Certificate:
    """Return the certificate in *line*; raises ValueError for anything else."""
    try:
        values = json.loads(line)
        summary = DaySummary(*(values[key] for key in DaySummary._fields))
        return Certificate(values["system"], values["date"], summary, values["where"])
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a certificate: {line[:60]!r}") from error


def finding_json(finding: Finding, remedy: str) -> str:
    """Return a finding and its *remedy* as a line of JSON."""
    values = {
        "system": finding.system_id,
        "finding": finding.what,
        "where": finding.where,
        "remedy": remedy,
    }
    return visible_json(values) + "\n"


FINDING_KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the system; `NAME/vehicles` for its vehicles"),
    "finding": ("text", "what is wrong"),
    "where": ("text", "the file or the day"),
    "remedy": ("text", "what to do"),
}
"""The keys of `finding_json`, see `run_lines.RUN_KEYS`."""


def repair_json(system_id: str, repair: Repair) -> str:
    """Return the repair of a file as a line of JSON."""
    values = {
        "system": system_id,
        "repaired": not (repair.damaged or repair.why),
        "where": repair.file,
        "blocks": repair.blocks,
        "damaged_slots": len(repair.damaged),
        "why": repair.why,
    }
    return visible_json(values) + "\n"


REPAIR_KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the system's name"),
    "repaired": ("boolean", "whether nothing in the file is damaged any more"),
    "where": ("text", "the file"),
    "blocks": ("integer", "its slots, or the versions of stations"),
    "damaged_slots": ("integer", "slots that could not be repaired"),
    "why": ("text", "what else prevents the repair; empty if nothing does"),
}
"""The keys of `repair_json`, see `run_lines.RUN_KEYS`."""
