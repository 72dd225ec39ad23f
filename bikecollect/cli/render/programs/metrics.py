"""The output of `status` as Prometheus metrics."""

from collections.abc import Iterable, Mapping, Sequence

from bikecollect.core.incidents import KINDS
from bikecollect.core.run import Run
from bikecollect.reports.health import Health
from bikecollect.reports.status import Standing

Sample = tuple[dict[str, str], float | None]
FAMILIES = {
    "up": "0 if the status of the system or the settings cannot be read.",
    "last_block_timestamp_seconds": "Slot of the newest block.",
    "last_run_timestamp_seconds": "Start of the newest run.",
    "last_run_exit_code": "Exit code of the newest run.",
    "last_run_duration_seconds": "Duration of the newest run.",
    "last_run_rows": "Rows written by the newest run.",
    "running_runs": "Runs that are running now.",
    "running_seconds": "For how long the oldest of them has been running.",
    "late": "1 if the newest block is too old.",
    "runs_good_ratio": "Share of good runs in the last 24 hours.",
    "coverage_ratio": "Collected of expected slots.",
    "incident_open": "1 for each open incident.",
    "data_damaged": "1 if stored data are damaged or missing.",
    "inbox_payloads": "Payloads waiting to be committed.",
    "outbox_mails": "Mails waiting to be sent.",
    "rejected_payloads": "Payloads that were not understood.",
    "used_bytes": "Size of the system's folder.",
    "free_bytes": "Free bytes on its disk.",
}
"""The metrics of every system, with their help."""
MIRROR_FAMILIES = {
    "mirror_days_waiting": "Archived days not in the mirror.",
    "mirror_last_success_timestamp_seconds": "The last complete copy.",
    "mirror_behind": "1 if copying to the mirror failed or is overdue.",
}


def metrics(
    standings: Sequence[Standing], errors: Mapping[str, Exception] | None = None
) -> str:
    """Return *standings* in the text format of Prometheus.

    *errors* has the systems that cannot be read; an empty name stands for all.
    """
    has_mirror = any(standing.health.mirror for standing in standings)
    families = FAMILIES | (MIRROR_FAMILIES if has_mirror else {})
    samples: dict[str, list[Sample]] = {name: [] for name in families}
    for name in errors or {}:
        samples["up"].append(({"system": name} if name else {}, 0))
    for standing in standings:
        health, run = standing.health, standing.health.last_run
        label = {"system": standing.system_id}
        values: dict[str, float | None] = {
            "up": 1,
            "last_block_timestamp_seconds": None
            if health.behind is None
            else health.now - health.behind,
            **(_last_values(run) if run else {}),
            **_running_values(standing.running, health.now),
            "late": int(health.late),
            "runs_good_ratio": health.good / health.runs if health.runs else None,
            "data_damaged": int(bool(health.damage)),
            "inbox_payloads": standing.inbox,
            "outbox_mails": standing.outbox,
            "rejected_payloads": standing.rejected,
            "used_bytes": standing.disk.used,
            "free_bytes": standing.disk.free,
            **_mirror_values(health),
        }
        for name, value in values.items():
            samples[name].append((label, value))
        for window, coverage in health.coverage.items():
            labels = {**label, "window": window}
            samples["coverage_ratio"].append((labels, coverage.ratio))
        open_kinds = {incident.kind for incident in health.incidents}
        for kind in KINDS:
            labels = {**label, "kind": kind}
            samples["incident_open"].append((labels, int(kind in open_kinds)))
    return "".join(_family(n, text, samples[n]) for n, text in families.items())


def _last_values(run: Run) -> dict[str, float | None]:
    return {
        "last_run_timestamp_seconds": run.started,
        "last_run_exit_code": run.exit_code,
        "last_run_duration_seconds": sum(run.seconds.values()),
        "last_run_rows": run.rows,
    }


def _running_values(runs: Sequence[Run], now: float) -> dict[str, float | None]:
    spent = [max(0.0, now - run.started) for run in runs]
    return {"running_runs": len(runs), "running_seconds": max(spent, default=0.0)}


def _mirror_values(health: Health) -> dict[str, float | None]:
    if health.mirror is None:
        return {}
    return {
        "mirror_days_waiting": health.mirror.waiting,
        "mirror_last_success_timestamp_seconds": health.mirror.succeeded or None,
        "mirror_behind": int(health.is_mirror_behind),
    }


def _family(name: str, doc: str, samples: Iterable[Sample]) -> str:
    full = f"bikecollect_{name}"
    lines = [f"# HELP {full} {doc}", f"# TYPE {full} gauge"]
    for labels, value in samples:
        if value is not None:
            inner = ",".join(f'{key}="{text}"' for key, text in labels.items())
            braces = f"{{{inner}}}" if inner else ""
            lines.append(f"{full}{braces} {value:.15g}")
    return "\n".join(lines) + "\n"
