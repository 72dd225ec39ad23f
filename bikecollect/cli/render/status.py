"""The output of `status` for people: a screen, and alerts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from enum import IntEnum

import click

from bikecollect.alerts.messages import LOST
from bikecollect.cli.render.backfill import remedy
from bikecollect.cli.render.terminal import (
    WIDTH,
    beside,
    columns,
    title,
    unicode,
    wrapped,
)
from bikecollect.core import process
from bikecollect.core.errors import SettingsError
from bikecollect.core.incidents import Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import SlotState
from bikecollect.core.text import (
    clock_minute,
    count_of,
    length,
    local_minute,
    visible,
)
from bikecollect.core.timeline.grid import Grid
from bikecollect.reports.health import Health
from bikecollect.reports.status import Standing
from bikecollect.reports.status_facts import (
    Overview,
    Part,
    Tone,
    behind,
    facts,
    headline,
    overview,
)
from bikecollect.storage.data_folder import SystemFolder

MANY = 1
"""Maximum systems shown in detail; if there are more, each is a line."""
VERDICT = 28
"""Minimum width of the summaries of several systems."""
CELL = 300
ENDED = 5
"""Maximum incidents shown that are over."""
TO_PASTE = "[systems."
"""Begins the lines of an incident that are for the settings."""
HOURS_A_LINE, NARROW_HOURS = 4, 2
MARKS = {
    SlotState.COLLECTED: ("▇", "#", "green"),
    SlotState.STALE: ("▒", "o", "yellow"),
    SlotState.PARTIAL: ("▄", "-", "yellow"),
    SlotState.MISSING: ("╳", "x", "red"),
    SlotState.DUE: ("·", ".", None),
    SlotState.BEFORE: (" ", " ", None),
}
COLOURS = {Tone.PLAIN: None, Tone.GOOD: "green", Tone.BAD: "red"}
WORST_FIRST = (
    SlotState.MISSING,
    SlotState.PARTIAL,
    SlotState.STALE,
    SlotState.COLLECTED,
    SlotState.DUE,
    SlotState.BEFORE,
)


def screen(standings: Iterable[Standing]) -> str:
    """Return the status of all systems as text, a line each if there are several."""
    standings = list(standings)
    if len(standings) <= MANY:
        return "\n".join(map(_system, standings))
    texts = ["Details: bikecollect status SYSTEM"]
    if any(s.scheduled is False and not s.health.is_over for s in standings):
        texts.insert(0, "No schedule found, see: bikecollect schedule install")
    lines = [line for text in texts for line in wrapped(text, "")]
    return "\n".join((table(list(overview(standings))), *lines, ""))


def table(systems: Sequence[Overview]) -> str:
    """Return a line for each of *systems*, or several on a narrow terminal."""
    name = max((len(system.system_id) for system in systems), default=0)
    room = max((len(system.verdict.text) for system in systems), default=0)
    lines = [_overview_line(system, name, max(room, VERDICT)) for system in systems]
    if any(len(click.unstyle(line)) > columns() for line in lines):
        lines = [line for system in systems for line in _overview_lines(system)]
    return "".join(f"{line}\n" for line in lines)


def _overview_line(system: Overview, name: int, room: int) -> str:
    """Return the overview as a line; *name* and *room* are widths of columns."""
    summary = system.verdict
    text = f"{_styled(summary)}{' ' * (room - len(summary.text))}"
    return f"{system.system_id:<{name}}  {text}  {system.newest:<17}  {system.week}"


def _overview_lines(system: Overview) -> list[str]:
    """Return the overview as lines for a narrow terminal, or after a long name."""
    head = f"{system.system_id}: {_styled(system.verdict)}"
    lines = [head]
    if len(click.unstyle(head)) > columns():
        lines = [f"{system.system_id}:", f"  {_styled(system.verdict)}"]
    return [*lines, *wrapped(f"{system.newest}, {system.week}", "  ")]


def alerts(
    standings: Iterable[Standing], errors: Mapping[str, Exception] | None = None
) -> str:
    """Return one line per problem; empty if there is none.

    *errors* has the systems that cannot be read; an empty name stands for all.
    """
    lines = [
        f"{name}: {error}" if name else f"{error}"
        for name, error in (errors or {}).items()
    ]
    for standing in standings:
        health, name = standing.health, standing.system_id
        if health.late:
            reasons = [_styled(behind(health))]
            if health.silent is not None:
                reasons.append(f"no run for {length(health.silent)}")
            lines.append(f"{name}: late: {'; '.join(reasons)}")
        own = standing.zone, health.grid
        lines += [f"{name}: {_incident(i, *own)}" for i in health.incidents]
        lines += [f"{name}: {visible(text)}" for text in health.damage]
        lines += [f"{name}: {text}" for text in _mirror_problems(health)]
        lines += elsewhere(standing).splitlines()
    return "".join(f"{line}\n" for line in lines)


def elsewhere(standing: Standing) -> str:
    """Return a line if its earlier data are in another folder, else nothing."""
    name, text = standing.system_id, standing.health.elsewhere
    problem = visible(_what(text))
    return f"{name}: {problem}; see: bikecollect doctor {name}\n" if text else ""


def noted(incidents: Mapping[SystemFolder, Sequence[Incident]]) -> str:
    """Return a line for each of the open *incidents* of systems, without their ledger.

    For systems whose status cannot be read.
    """
    return "".join(
        f"{system.system_id}: {_incident(incident, system.zone, system.grid)}\n"
        for system, known in incidents.items()
        for incident in known
        if incident.is_open
    )


def unattended(
    standings: Iterable[Standing], errors: Mapping[str, Exception], awake: float
) -> dict[str, dict[str, str]]:
    """Return the problems that `fetch` cannot report: by system, texts by kind.

    *awake* is the time in seconds since the machine started, without time suspended:
    if less than two slots of it have passed since the last run, no run is late yet.
    """
    problems = {name: {"error": str(error)} for name, error in errors.items()}
    for standing in standings:
        health, texts = standing.health, {}
        waited = awake - _awake_at(health.last_run, awake)
        if health.silent is not None and waited > 2 * health.interval:
            texts["run"] = f"no run for {length(health.silent)}"
        if untold := _untold(health):
            texts["damage"] = "\n".join(untold)
        if all(incident.kind != "mirror" for incident in health.incidents):
            texts |= zip(("mirror",), _mirror_problems(health), strict=False)
        if texts:
            problems[standing.system_id] = texts
    return problems


def _untold(health: Health) -> list[str]:
    """Return the damage that no open incident tells."""
    lines = (line for i in health.incidents for line in i.text.split("\n"))
    told = set(map(_what, lines))
    return [visible(text) for text in health.damage if _what(text) not in told]


def _what(text: str) -> str:
    """Return the problem in *text*, without its remedies: these change."""
    return text.partition("; ")[0]


def _awake_at(run: Run | None, awake: float) -> float:
    """Return *awake* at the time of *run*, 0 if the machine was started since."""
    if run is None or run.boot_id != process.boot_id() or run.awake > awake:
        return 0.0
    return run.awake


def _mirror_problems(health: Health) -> list[str]:
    if health.mirror is None or not health.is_mirror_behind:
        return []
    return [f"mirror: {visible(health.mirror.text(health.now))}"]


class NagiosLevel(IntEnum):
    """The exit codes of a Nagios plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


def nagios_level(
    standings: Iterable[Standing], errors: Mapping[str, Exception]
) -> NagiosLevel:
    """Return the worst level: lost slots are critical, other incidents a warning."""
    levels = [NagiosLevel.OK]
    for standing in standings:
        health = standing.health
        if health.late or any(incident.lost for incident in health.incidents):
            levels.append(NagiosLevel.CRITICAL)
        elif health.in_trouble:
            levels.append(NagiosLevel.WARNING)
    worst = max(levels)
    is_unknown = bool(errors) and worst is not NagiosLevel.CRITICAL
    return NagiosLevel.UNKNOWN if is_unknown else worst


def nagios_summary(
    standings: Sequence[Standing], errors: Mapping[str, Exception]
) -> str:
    """Return the number of systems in trouble, and of those that cannot be read.

    An error without a name is that of the settings, or of the state of the alerts.
    """
    unread = sum(map(bool, errors))
    if not (every := len(standings) + unread):
        is_of_settings = isinstance(errors.get(""), SettingsError)
        return f"{'the settings' if is_of_settings else 'the data'} cannot be read"
    bad = sum(standing.health.in_trouble for standing in standings)
    text = f"{bad} of {count_of(every, 'system')} in trouble"
    text += f", {unread} cannot be read" if unread else ""
    return f"{text}; alerts have a problem" if "" in errors else text


def _system(standing: Standing) -> str:
    health = standing.health
    summary = headline(standing)
    outcome = _styled(summary, bold=summary.tone is Tone.BAD)
    lines = [f"{title(standing.system_id)}: {outcome}"]
    for fact in facts(standing):
        value = "".join(_styled(part) for part in fact.parts)
        lines += beside(f"  {fact.title:<13}", value)
    if strip := _strip(standing):
        lines += ["", *strip]
    for incident in health.incidents:
        text = _incident(incident, standing.zone, health.grid)
        lines += ["", *beside("  ! ", text)]
        lines += _explained(incident.text)
    for text in _untold(health):
        lines += ["", *beside("  ! ", text)]
    if health.ended:
        lines += ["", "  Over in the last 24 hours:", *_ended(standing)]
    return "\n".join(lines) + "\n"


def _styled(part: Part, *, bold: bool = False) -> str:
    colour = COLOURS[part.tone]
    return click.style(part.text, fg=colour, bold=bold) if colour else part.text


def _incident(incident: Incident, zone: tzinfo, grid: Grid) -> str:
    interval = incident.interval(grid)
    since = local_minute(incident.began(interval), zone, interval)
    is_all = not (incident.lost or incident.variant)
    lost = LOST.get(incident.kind, 0) if is_all else incident.lost
    last = local_minute(incident.last, zone, interval)
    seen = f", last seen {last}" if incident.good else ""  # it is about to close
    return f"{incident.title(interval)}, since {since}{seen}; slots lost: {lost}"


def _explained(text: str) -> list[str]:
    """Return the *text* of an incident; lines for the settings can be pasted."""
    lines = [line for line in text.split("\n") if line]
    if any(line.startswith(TO_PASTE) for line in lines):
        return remedy(lines, "    ").splitlines()[1:]
    return [part for line in lines for part in wrapped(line, "    ")]


def _ended(standing: Standing) -> Iterator[str]:
    """Yield lines on the latest incidents that are over."""
    health, zone = standing.health, standing.zone
    for incident in health.ended[:ENDED]:
        interval = incident.interval(health.grid)
        since = clock_minute(incident.opened, zone, interval)
        until = clock_minute(incident.last + interval, zone, interval)
        until = until[11:] if until[:10] == since[:10] else until
        lost = f"; slots lost: {incident.lost}" if incident.lost else ""
        text = f"{since} to {until}: {incident.ended_title(interval)}{lost}"
        yield from wrapped(text, "    ", "      ")
    if (more := len(health.ended) - ENDED) > 0:
        yield f"    and {more} more"


def _strip(standing: Standing) -> list[str]:
    """Return the last 24 hours as marks, some hours per line, with a legend.

    It is empty if nothing was expected.
    """
    health = standing.health
    cells: dict[int, SlotState] = {}
    span = max(CELL, health.interval)
    for slot, state in health.strip:
        place = slot // span
        cells[place] = min(cells.get(place, state), state, key=WORST_FIRST.index)
    hours = HOURS_A_LINE if columns() == WIDTH else NARROW_HOURS
    line = max(hours * 3_600, span * 12)
    lines: dict[int, list[tuple[int, SlotState]]] = {}
    for place, state in cells.items():
        lines.setdefault(place * span // line, []).append((place, state))
    strip: list[tuple[str, str]] = []
    for members in lines.values():
        if all(state is SlotState.BEFORE for _, state in members):
            continue
        before = (members[0][0] * span % line) // span
        begin = clock_minute((members[0][0] - before) * span, standing.zone)[11:]
        text = " " * (before + before // 12)
        for place, state in members:
            number = place * span % line // span
            text += (" " if number and number % 12 == 0 else "") + _mark(state)
        strip.append((begin, text))
    if not strip:
        return []
    room = max(len(begin) for begin, _ in strip)
    rows = [f"  {begin:<{room}}  {text}" for begin, text in strip]
    marks = [f"{_mark(state)} {state.value}" for state in list(SlotState)[:5]]
    if health.interval < CELL:
        rows.append("         a mark is the worst slot of five minutes")
    if columns() == WIDTH:
        return [*rows, f"         {'  '.join(marks)}"]
    return [*rows, *(f"         {mark}" for mark in marks)]


def _mark(state: SlotState) -> str:
    rich, plain, colour = MARKS[state]
    return click.style(rich if unicode() else plain, fg=colour)
