"""The output of `compact`, `push` and `verify`, as text."""

import re
from collections.abc import Mapping, Sequence
from datetime import tzinfo

from bikecollect.archive.certificates import Certificate, Finding
from bikecollect.archive.compact import IN_USE, NOT_RENEWED, RENEWED, RESTORED, Step
from bikecollect.archive.mirror.push import REPLACED_DAY, MirrorStep
from bikecollect.archive.mirror.record import LIVE
from bikecollect.archive.verify import VerifiedCounts
from bikecollect.cli.render.terminal import WIDTH, columns, wrapped
from bikecollect.core.text import count_of, local_minute, size, visible
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.repair import Repair, mirror_fill

FEW = 3
"""Maximum remedies that differ by their day only, and findings with one remedy."""
OF_DAY = re.compile(r"\b\d{4}-\d\d-\d\d\b")
RESULTS = {"kept": "CSV kept", NOT_RENEWED: "summaries not renewed"}


def step_line(step: Step) -> str:
    """Return a step of compaction as a line."""
    head = f"{step.system_id} {step.day}"
    why = visible(step.why)
    if step.what == RENEWED:
        return f"{head}: summaries renewed\n"
    if step.what == RESTORED:
        slots = f"{count_of(step.slots, 'slot')}, {count_of(step.rows, 'row')}"
        return f"{head}: taken from the archive into the ledger, {slots}\n"
    if step.why:
        result = RESULTS.get(step.what, "not archived")
        return f"{head}: {result}: {why}\n"
    if step.what == "let go":
        return f"{head}: CSV removed, {size(step.before)} freed; it is in the archive\n"
    if step.what == IN_USE:
        return f"{head}: CSV kept: in use; the next compact removes it\n"
    share = f"{step.after / step.rows:.2f} B a row" if step.rows else "empty"
    sizes = f"{size(step.before)} -> {size(step.after)}, {share}"
    if step.rows and not step.before:  # its CSV has gone: gaps have other causes now
        sizes = f"again, from the archive: {size(step.after)}"
    return f"{head}: {count_of(step.rows, 'row')} archived, {sizes}\n"


def mirror_line(step: MirrorStep) -> str:
    """Return a step of copying to the mirror as a line."""
    head = " ".join(filter(None, (step.system_id, step.day)))
    if step.why:
        return f"{head}: not copied to the mirror: {visible(step.why)}\n"
    if step.what == LIVE:
        return f"{head}: open days copied to the mirror, {size(step.size)}\n"
    is_new = step.what != REPLACED_DAY
    what = "copied to the mirror" if is_new else "replaced in the mirror"
    return f"{head}: {what}, {size(step.size)}\n"


def nothing_to_do(waiting: int) -> str:
    """Return the message for the case that no day is due.

    A day is not due while payloads of it are *waiting* in the inbox.
    """
    if waiting:
        payloads = count_of(waiting, "payload")
        return (
            f"Nothing to do yet: {payloads} in the inbox; their days are archived "
            "after the next fetch.\n"
        )
    return "Nothing to do: every closed day is in the archive.\n"


def certificate_line(certificate: Certificate, width: int = 0) -> str:
    """Return a day's certificate as a line that fits a terminal.

    *width* is that of the longest name of a system.
    """
    summary = certificate.summary
    name = f"{certificate.system_id:<{width}}"
    if columns() < WIDTH:
        counts = f"{count_of(summary.slots, 'slot')}, {count_of(summary.rows, 'row')}"
        return (
            f"{name} {certificate.date}\n  {counts}\n"
            f"  {certificate.where} {summary.sha256[:12]}\n"
        )
    return (
        f"{name} {certificate.date}  {_column(summary.slots, 'slot', 4)}  "
        f"{_column(summary.rows, 'row', 9)}  {certificate.where:7}  "
        f"{summary.sha256[:12]}\n"
    )


def _column(number: int, noun: str, width: int) -> str:
    """Return *number* of *noun* as part of a column: both are aligned."""
    count, _, nouns = count_of(number, noun).partition(" ")
    return f"{count:>{width}} {nouns:{len(noun) + 1}}"


def finding_line(finding: Finding) -> str:
    """Return a finding as a line."""
    return f"{visible(f'{finding.system_id} {finding.where}: {finding.what}')}\n"


def remedies_text(counts: Mapping[str, int]) -> str:
    """Return a line per remedy, with the number of its findings.

    Of those that differ by their day only, a few are printed.

    >>> days = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05"]
    >>> print(remedies_text({f"restore {day}": 2 for day in days}), end="")
    To do:
      restore 2026-11-01   (2 findings)
      restore 2026-11-02   (2 findings)
      restore 2026-11-03   (2 findings)
      likewise for 2 more days, up to 2026-11-05   (4 findings)
    """
    alike: dict[str, list[str]] = {}
    for remedy in counts:
        alike.setdefault(OF_DAY.sub("", remedy), []).append(remedy)
    lines = ["To do:\n"]
    for remedies in alike.values():
        lines += [_remedy_line(visible(r), counts[r]) for r in remedies[:FEW]]
        if more := remedies[FEW:]:
            last = OF_DAY.findall(more[-1])[-1]
            text = f"likewise for {count_of(len(more), 'more day')}, up to {last}"
            lines.append(_remedy_line(text, sum(counts[r] for r in more)))
    return "".join(lines)


def _remedy_line(text: str, count: int) -> str:
    return f"  {text}   ({count_of(count, 'finding')})\n"


def remedy_of_lost(system_id: str, file: str, mirror: str) -> str:
    """Return the commands for slots of *file* that cannot be repaired here.

    *mirror* is the address of the archive's copy, empty if there is none.
    """
    repair = f"bikecollect verify --repair {system_id}"
    return (
        f"{mirror_fill(system_id, mirror, repair)}fill them from a copy: bikecollect "
        f"backfill {system_id} --from THE_COPY && {repair}; or accept the loss: "
        f"bikecollect forget {system_id} {file}"
    )


def repair_line(system_id: str, repair: Repair, zone: tzinfo, mirror: str) -> str:
    """Return the repair of a file as a line, with times in *zone*.

    See `remedy_of_lost` for *mirror*.
    """
    head = f"{system_id} {repair.file}"
    why = visible(repair.why)
    if why and not repair.damaged:
        return f"{head}: not repaired: {why}\n"
    if not repair.damaged:
        return f"{head}: {_repaired(repair)}\n"
    ends = min(repair.damaged), max(repair.damaged)
    first, last = (local_minute(slot, zone, slot) for slot in ends)
    when = first if first == last else f"{first} to {last}"
    slots = count_of(repair.blocks, "slot")
    return (
        f"{head}: not repaired: {len(repair.damaged)} of {slots} "
        f"({when}) have no checksum or payload that proves them"
        f"{f', and none is taken from the archive: {why}' if why else ''}; "
        f"{remedy_of_lost(system_id, repair.file, mirror)}\n"
    )


def _repaired(repair: Repair) -> str:
    """Return what was done to a file that is not damaged any more.

    >>> _repaired(Repair(INFORMATION, 1, ()))
    'repaired, 1 version'
    >>> _repaired(Repair("station_status/2026-11-22.csv", 0, ()))
    'moved to payloads/rejected; no slot is read from it any more'
    """
    if repair.file == INFORMATION:
        return f"repaired, {count_of(repair.blocks, 'version')}"
    if not repair.blocks:
        return "moved to payloads/rejected; no slot is read from it any more"
    return f"repaired; it has {count_of(repair.blocks, 'slot')} now"


def verdict(
    counts: Sequence[VerifiedCounts], findings: int, skipped: Sequence[str] = ()
) -> str:
    r"""Return the result of a verification, without the *skipped* systems, as a line.

    >>> verdict([], 0)
    'days 0, files 0, blocks 0, payloads 0: no data to verify yet\n'
    """
    files = sum(count.files for count in counts)
    blocks = sum(count.blocks for count in counts)
    days = sum(count.days for count in counts)
    payloads = sum(count.payloads for count in counts)
    agree = "all agree" if days or files or payloads else "no data to verify yet"
    result = count_of(findings, "finding") if findings else agree
    text = (
        f"days {days}, files {files}, blocks {blocks:,}, payloads {payloads}: {result}"
    )
    if gone := sum(count.gone for count in counts):
        missing = count_of(gone, "kept payload")
        text += f"; {missing} gone, which `backfill` might need"
    if skipped:
        text += f"; not verified: {', '.join(skipped)}"
    return "".join(f"{line}\n" for line in wrapped(text, rest="  "))


def dataset_verdict(files: int, days: int, rows: int, findings: int) -> str:
    """Return the result of checking a published dataset."""
    counts = (
        f"{count_of(files, 'file')}, {count_of(days, 'day')}, {count_of(rows, 'row')}"
    )
    result = count_of(findings, "finding") if findings else "all agree"
    return "".join(f"{line}\n" for line in wrapped(f"{counts}: {result}", rest="  "))
