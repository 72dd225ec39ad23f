"""The status of systems as JSON, for programs."""

from collections.abc import Mapping
from datetime import tzinfo

from bikecollect.core.incidents import Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, iso
from bikecollect.core.text import visible_json
from bikecollect.reports.coverage import Coverage
from bikecollect.reports.health import Health
from bikecollect.reports.status import Standing


def as_json(standing: Standing, **more: object) -> str:
    """Return *standing* as one line of JSON, after the values *more*."""
    health, zone, disk = standing.health, standing.zone, standing.disk
    return visible_json(
        {
            **more,
            "system": standing.system_id,
            "now": iso(health.now, zone),
            "interval_s": health.interval,
            "late": health.late,
            "behind_s": health.behind,
            "last_run": health.last_run and _run_values(health.last_run, zone),
            "running": [_running_values(run, health, zone) for run in standing.running],
            "next_slot": health.next_slot and iso(health.next_slot, zone),
            "runs_24h": health.runs,
            "runs_24h_good": health.good,
            "coverage": {name: _parts(c) for name, c in health.coverage.items()},
            "vehicle_coverage": {n: _parts(c) for n, c in health.vehicles.items()},
            "slots_24h": [
                {"slot": iso(slot, zone), "state": state.name.lower()}
                for slot, state in health.strip
            ],
            "incidents": [_incident_values(i, zone) for i in health.incidents],
            "incidents_over": [
                {**_incident_values(i, zone), "closed": iso(i.closed or i.last, zone)}
                for i in health.ended
            ],
            "damage": list(health.damage),
            "inbox": standing.inbox,
            "outbox": standing.outbox,
            "rejected": standing.rejected,
            "used_bytes": disk.used,
            "free_bytes": disk.free,
            "growth_bytes_a_day": disk.daily,
            "full_in_s": disk.days_left and disk.days_left * DAY,
            "cron_silent_s": health.silent,
            **(_mirror_json(health, zone) if health.mirror else {}),
        }
    )


def _coverage_keys(
    name: str, meaning: str, *, collected: str, expected: str
) -> Mapping[str, tuple[str, ...]]:
    """Return the keys of the coverages called *name*, see `_parts`."""
    ratio = ("number, 0 to 1", "collected / expected", "null if none was expected")
    return {
        name: ("object", meaning),
        f"{name}.SPAN": ("object", "of these days"),
        f"{name}.SPAN.collected": ("integer", collected),
        f"{name}.SPAN.expected": ("integer", expected),
        f"{name}.SPAN.coverage": ratio,
    }


_INCIDENT_KEYS: Mapping[str, tuple[str, ...]] = {
    "id": ("text", "the same until it is over"),
    "kind": ("text", "such as `fetch`, `disk`, `missed`"),
    "opened": ("time", "its first slot"),
    "slots": ("integer", "bad slots"),
    "lost": ("integer", "those without data"),
    "causes": ("object", "bad slots by cause"),
    "causes.CAUSE": ("integer", "bad slots of this cause"),
    "text": ("text", "the latest error"),
}
KEYS: Mapping[str, tuple[str, ...]] = {
    "settings": ("text", "the settings file", "absent without `--all`"),
    "system": ("text", "the system's name"),
    "now": ("time", "when the status was read"),
    "interval_s": ("integer, s", "length of a slot"),
    "late": ("boolean", "whether no fresh data or no run is there for too long"),
    "behind_s": ("number, s", "age of the newest slot with data", "null without data"),
    "last_run": ("object", "the last run that ended", "null without one"),
    "last_run.run_id": ("text", "its id, for `runs show`"),
    "last_run.slot": ("time", "start of its slot"),
    "last_run.started": ("time", "when it began"),
    "last_run.outcome": ("text", "how it ended"),
    "last_run.cause": ("text", "the reason, as a short word", "null if there is none"),
    "last_run.rows": ("integer", "rows written"),
    "last_run.spent_s": ("number, s", "time of all its stages"),
    "running": ("list of objects", "the runs that are running now, newest first"),
    "running[].run_id": ("text", "its id"),
    "running[].slot": ("time", "start of its slot"),
    "running[].started": ("time", "when it began"),
    "running[].running_s": ("number, s", "time since then"),
    "next_slot": (
        "time",
        "start of the next slot",
        "null if it is a demo that is over, or was stopped",
    ),
    "runs_24h": ("integer", "runs of the last 24 hours"),
    "runs_24h_good": ("integer", "those that collected, or found the slot collected"),
    **_coverage_keys(
        "coverage",
        "coverage of `today`, `7d` and `30d`",
        collected="slots with data",
        expected="slots since the first run that are due",
    ),
    **_coverage_keys(
        "vehicle_coverage",
        "the same of single vehicles; empty if none were expected",
        collected="slots with vehicles",
        expected="slots since the first with some",
    ),
    "slots_24h": ("list of objects", "the slots of the last 24 hours, oldest first"),
    "slots_24h[].slot": ("time", "start of the slot"),
    "slots_24h[].state": (
        "text",
        "collected, stale, partial, missing, due (not yet), before (the first run)",
    ),
    "incidents": ("list of objects", "open incidents"),
    **{f"incidents[].{key}": value for key, value in _INCIDENT_KEYS.items()},
    "incidents_over": (
        "list of objects",
        "incidents that ended in the last 24 hours, the latest first",
    ),
    **{f"incidents_over[].{key}": value for key, value in _INCIDENT_KEYS.items()},
    "incidents_over[].closed": ("time", "the slot in which it was over"),
    "damage": ("list of texts", "what is damaged or missing in the stored data"),
    "inbox": ("integer", "payloads that wait for the next run"),
    "outbox": ("integer", "mails that wait for a server"),
    "rejected": ("integer", "payloads that were not understood"),
    "used_bytes": ("integer, bytes", "disk space of the system, with its archive"),
    "free_bytes": ("integer, bytes", "free on its disk"),
    "growth_bytes_a_day": (
        "number, bytes",
        "growth of a day",
        "null while unknown, or if `next_slot` is",
    ),
    "full_in_s": (
        "number, s",
        "time until the disk is full at this growth",
        "null if `growth_bytes_a_day` is, or without growth",
    ),
    "cron_silent_s": (
        "number, s",
        "time since the last run began, if too long",
        "null if that is usual",
    ),
    "mirror": ("object", "the copy of the archive", "absent without `archive.mirror`"),
    "mirror.address": ("text", "its address, without secrets"),
    "mirror.days_waiting": ("integer", "archived days that are not copied yet"),
    "mirror.last_copied": ("time", "when all was last copied", "null before"),
    "mirror.error": ("text", "why the last copy failed", "null if it did not"),
    "mirror.behind": ("boolean", "whether it failed, or days wait for too long"),
    "mirror.live_copied": (
        "time",
        "when `push --live` last copied all",
        "null if never",
    ),
    "mirror.live_error": ("text", "why `push --live` failed", "null if it did not"),
}
"""The keys of `as_json`, see `run_lines.RUN_KEYS`."""


def _run_values(run: Run, zone: tzinfo) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "slot": iso(run.slot, zone),
        "started": iso(run.started, zone),
        "outcome": run.outcome.value if run.outcome else None,
        "cause": run.cause or None,
        "rows": run.rows,
        "spent_s": round(sum(run.seconds.values()), 4),
    }


def _running_values(run: Run, health: Health, zone: tzinfo) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "slot": iso(run.slot, zone),
        "started": iso(run.started, zone),
        "running_s": round(max(0.0, health.now - run.started), 4),
    }


def _incident_values(incident: Incident, zone: tzinfo) -> dict[str, object]:
    return {
        "id": incident.incident_id,
        "kind": incident.kind,
        "opened": iso(incident.opened, zone),
        "slots": incident.slots,
        "lost": incident.lost,
        "causes": dict(incident.causes),
        "text": incident.text,
    }


def _mirror_json(health: Health, zone: tzinfo) -> dict[str, object]:
    mirror = health.mirror
    live = mirror and mirror.live
    values = mirror and {
        "address": mirror.address,
        "days_waiting": mirror.waiting,
        "last_copied": iso(mirror.succeeded, zone) if mirror.succeeded else None,
        "error": mirror.error or None,
        "behind": health.is_mirror_behind,
        "live_copied": iso(live.succeeded, zone) if live and live.succeeded else None,
        "live_error": (live and live.error) or None,
    }
    return {"mirror": values}


def _parts(coverage: Coverage) -> dict[str, object]:
    return {
        "collected": coverage.collected,
        "expected": coverage.expected,
        "coverage": coverage.ratio,
    }
