"""What is printed of compaction and of proofs."""

import json
from collections.abc import Sequence

from bikecollect.archive.certificates import Certificate, Finding
from bikecollect.archive.compact import IN_USE, Step
from bikecollect.archive.verify import Looked
from bikecollect.core.text import size, visible, visible_json


def step_line(step: Step) -> str:
    """Return what was done for a day, as a line."""
    head = f"{step.system_id} {step.day}"
    why = visible(step.why)
    if step.why:
        kept = "not archived" if step.what == "failed" else "its CSV stays"
        return f"{head}: {kept}: {why}\n"
    if step.what == "let go":
        return f"{head}: CSV removed, {size(step.before)} freed; the archive has it\n"
    if step.what == IN_USE:
        return f"{head}: its CSV stays: somebody reads; the next compact removes it\n"
    share = f"{step.after / step.rows:.2f} B a row" if step.rows else "empty"
    return (
        f"{head}: {step.rows:,} rows archived, "
        f"{size(step.before)} -> {size(step.after)}, {share}\n"
    )


def step_json(step: Step) -> str:
    """Return what was done for a day, as a line of JSON."""
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


def nothing_to_do() -> str:
    """Return what is said when no day was due."""
    return "Nothing to do: every closed day is in the archive.\n"


def certificate_line(certificate: Certificate) -> str:
    """Return a day's certificate, as a line that fits a terminal."""
    return (
        f"{certificate.system_id} {certificate.date}  {certificate.slots:4} slots  "
        f"{certificate.rows:9,} rows  {certificate.where:7}  "
        f"{certificate.sha256[:12]}\n"
    )


def certificate_json(certificate: Certificate) -> str:
    """Return a day's certificate, as a line of JSON that `certificate` reads back."""
    values = certificate._asdict()
    return json.dumps({"system": values.pop("system_id"), **values}) + "\n"


def certificate(line: str) -> Certificate:
    """Return the certificate that *line* holds; raises ValueError."""
    try:
        values = json.loads(line)
        return Certificate(values.pop("system"), **values)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a certificate: {line[:60]!r}") from error


def finding_line(finding: Finding) -> str:
    """Return what does not agree, as a line."""
    return f"{visible(f'{finding.system_id} {finding.where}: {finding.what}')}\n"


def finding_json(finding: Finding) -> str:
    """Return what does not agree, as a line of JSON."""
    values = {
        "system": finding.system_id,
        "finding": finding.what,
        "where": finding.where,
    }
    return visible_json(values) + "\n"


def verdict(looked: Sequence[Looked], found: int) -> str:
    """Return how the proof came out, as a line."""
    files = sum(each.files for each in looked)
    blocks = sum(each.blocks for each in looked)
    days = sum(each.days for each in looked)
    payloads = sum(each.payloads for each in looked)
    what = f"{found} things do not agree" if found > 1 else "one thing does not agree"
    return (
        f"days {days}, files {files}, blocks {blocks:,}, payloads {payloads}: "
        f"{what if found else 'all agree'}\n"
    )
