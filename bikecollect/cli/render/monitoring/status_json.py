"""The status of systems as JSON, for programs."""

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
            "next_slot": iso(health.next_slot, zone),
            "runs_24h": health.runs,
            "runs_24h_good": health.good,
            "coverage": {name: _parts(c) for name, c in health.coverage.items()},
            "slots_24h": [
                {"slot": iso(slot, zone), "state": state.name.lower()}
                for slot, state in health.strip
            ],
            "incidents": [_incident_values(i, zone) for i in health.incidents],
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
