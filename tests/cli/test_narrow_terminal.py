"""A narrow terminal, a dumb one, and shell completion."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from command import on_terminal
from in_process import bikecollect
from templates import copied
from world import World

from bikecollect.cli import cli
from bikecollect.cli.commands import doctor
from bikecollect.cli.render import reports
from bikecollect.cli.render.table import fitted
from bikecollect.core.errors import FeedUnavailable
from bikecollect.core.slots import DAY
from bikecollect.reports.registry import REPORTS
from bikecollect.reports.runner import BatchedAnswer
from bikecollect.setup.checks.check import Check, Verdict

TAIL = ("--until", "2026-11-22T12:40")
WHOLE = re.compile(r"https?://|/|bikecollect |sudo ")
"""What may be longer than a line: a path, an address, a command."""


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a system with four slots, one of them lost."""
    world = World(folder / "city")
    world.fetch({"0001": 1, "0002": 2}, names={"0001": "Town Hall"})
    world.feed.answer = FeedUnavailable("no answer in 30 s")
    world.fetch(after=300)
    world.fetch({"0001": 1, "0002": 2}, after=300)
    world.fetch({"0001": 0, "0002": 2}, after=300)
    return world


def in_forty_columns(*arguments: object) -> list[str]:
    """Return the lines that the command shows on a terminal of 40 columns."""
    text = on_terminal(*arguments, columns=40)
    shown = re.sub(r"[^\n]*\r(?=[^\n])|\x1b\[K", "", text)
    return click.unstyle(shown).replace("\r", "").splitlines()


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("runs", "--since", "2026-11-22"),
        ("runs", "show", "2026-11-22T12:05"),
        ("backfill-report", *TAIL),
        ("backfill-report", "--until", "2027-02-22"),
        ("backfill-report", "--stations", *TAIL),
        ("feeds", "list"),
        ("feeds", "search", "taipei"),
        ("feeds", "show", "velib-paris"),
        ("config", "show"),
        ("doctor", "--offline"),
        ("verify",),
        ("backfill", "--dry-run"),
        ("report",),
        ("report", "reliability", "--until", "2026-11-22"),
        ("report", "snapshot", "--until", "2026-11-22"),
        ("query", "SELECT station_id, is_renting FROM station_status"),
        ("--help",),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_forty_columns_are_enough(config: Path, arguments: tuple[str, ...]) -> None:
    """Only a path, an address or a command is longer, so that it can be copied."""
    if {"report", "query", "--stations"} & {*arguments}:
        pytest.importorskip("duckdb")

    lines = in_forty_columns("--config", config, *arguments)

    assert lines
    assert [n for n in lines if len(n) > 40 and not WHOLE.search(n)] == []


def test_the_legend_of_days_leaves_no_share_out(folder: Path, config: Path) -> None:
    """From complete days to those with nothing, in a report of two months."""
    earlier = World(folder / "city")
    earlier.clock.now -= 60 * DAY
    earlier.fetch({"0001": 1})

    lines = in_forty_columns("--config", config, "backfill-report", *TAIL)

    assert (
        "each mark: one day; ▇ complete, ▆ 90 % or more, ▄ 50 % or more, ▁ less, "
        "╳ nothing"
    ) in " ".join(" ".join(lines).split())


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("columns", [40, 80])
def test_the_status_of_several_systems_fits(config: Path, columns: int) -> None:
    """Two lines each on a narrow terminal, or beside a long name."""
    name = "velib-metropole-of-a-very-large-city"
    more = f'[systems.{name}]\nfeed = "youbike"\nurl = "http://127.0.0.1/"\n'
    text = config.read_text(encoding="utf-8") + more + 'timezone = "Asia/Taipei"\n'
    config.write_text(text, encoding="utf-8")

    shown = on_terminal("--config", config, "status", columns=columns)

    lines = click.unstyle(shown).replace("\x1b[K", "").splitlines()
    assert "city: late" in lines
    assert "  no data, 7 days nothing yet" in lines
    assert [n for n in lines if len(n) > columns and not WHOLE.search(n)] == []


def in_eighty_columns(
    monkeypatch: pytest.MonkeyPatch, name: str, *rows: Mapping[str, object]
) -> list[str]:
    """Return the lines of the report *name* with *rows* on 80 columns."""
    monkeypatch.setattr(reports, "terminal_columns", lambda: 80)
    result = BatchedAnswer([*rows[0]], iter([[tuple(row.values()) for row in rows]]))
    zones = dict.fromkeys({str(row["system_id"]) for row in rows}, UTC)
    text = "".join(reports.answer(REPORTS[name], result, zones, "text", None))
    return click.unstyle(text).splitlines()


@pytest.mark.parametrize(
    ("remedy", "lines"),
    [
        (
            f"mount its disk; for a new folder: touch /srv/{'a' * 60}",
            ["      -> mount its disk; for a new folder:", f"touch /srv/{'a' * 60}"],
        ),
        (f"sudo chown -R me {'a' * 70}", [f"      -> sudo chown -R me {'a' * 70}"]),
        (
            "set the clock of this machine; check url, and ca_bundle if one is set, in "
            "[systems.city]",
            [
                "      -> set the clock of this machine; check url, and ca_bundle"
                " if one is set,",
                "in [systems.city]",
            ],
        ),
    ],
    ids=["command at its end", "command", "text"],
)
def test_a_remedy_fits_eighty_columns_but_for_a_command(
    remedy: str, lines: list[str]
) -> None:
    """A command is a line of its own, so that it can be copied."""
    shown = doctor._line(Check("city", Verdict.BAD, "odd", remedy))

    first, *others = lines
    assert shown.splitlines()[1:] == [first, *(f"{' ' * 9}{line}" for line in others)]


def test_scarcity_is_a_table_in_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its empty column, and with systems that can still be told apart."""
    row: dict[str, object] = {"place": "", "state": "collected", "cause": None}
    row |= dict.fromkeys(("stations", "empty_stations", "full_stations"), 1)
    row |= dict.fromkeys(("closed_stations", "vehicles", "docks"), 1)
    systems = ("youbike-taipei", "velib-metropole")

    lines = in_eighty_columns(
        monkeypatch,
        "scarcity",
        *(
            {"system_id": name, "slot": 300 * slot} | row | {"place": name}
            for slot, name in enumerate(systems)
        ),
    )

    assert [line[:11] for line in lines if "collected" in line] == [
        "youbike-ta…",
        "velib-metr…",
    ]
    assert "No room for: cause; see --format csv" in lines
    assert max(map(len, lines)) <= 80


def test_a_shared_beginning_of_names_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands above the table, and notes explain only columns that are there."""
    row: dict[str, object] = {"system_id": "a-city", "station_id": "500101001"}
    row |= {"name": "YouBike2.0_Town Hall", "what": "empty", "neighbour": "500101002"}
    row |= {"neighbour_name": "YouBike2.0_Park", "metres": 584.9, "slots": 3}
    row |= {"slots_seen": 3, "share": 1.0}
    other = row | {"system_id": "b", "name": "YouBike2.0_School"}

    lines = in_eighty_columns(monkeypatch, "neighbours", row, other)

    assert 'Each name below begins with "YouBike2.0_"' in lines
    assert [line for line in lines if re.search(r"Town Hall .* Park ", line)]
    assert "  seen: slots with data" in lines


def test_positions_are_whole_where_names_are_shortened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half a position is another place; a column that leaves no room is named."""
    places = {"old": "25.04086, 121.56790", "new": "25.04300, 121.57000"}
    row: dict[str, object] = {"system_id": "a", "since": 300, "station_id": "500101001"}
    row |= {"name": "捷運市政府站(3號出口)", "what": "moved", **places, "metres": 318.2}
    other = row | {"station_id": "500101002", "name": "Park", "metres": None}
    other |= {"what": "renamed", "old": "Park Street, east side", "new": "Park"}

    lines = in_eighty_columns(monkeypatch, "changes", row, other)

    assert [line.split("  ")[0] for line in lines[2:5]] == [
        "since",
        "1970-01-01 00:05 500101001 捷運市政府站(3號… moved",
        "1970-01-01 00:05 500101002 Park",
    ]
    assert lines[3].endswith("… moved   25.04300, 121.57000  318.2")
    assert lines[5] == "No room for: old; see --format csv"


def slot_of(system_id: str, slot: int, **values: object) -> dict[str, object]:
    """Return a row of the report `history`, of a slot that is missing."""
    row: dict[str, object] = {"system_id": system_id, "station_id": f"99000000{slot}"}
    row |= {"name": f"{slot}, a long name of a station", "slot": 300 * slot}
    row |= {"state": "missing", "cause": "rejected: drift"}
    row |= {"num_vehicles_available": None, "num_docks_available": None}
    return row | {"is_renting": None} | values


def test_a_history_keeps_the_causes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what it is for: names, for which there are ids, are left out first."""
    counts = {"num_vehicles_available": 3, "num_docks_available": 4}
    counts |= {"is_renting": True}

    lines = in_eighty_columns(
        monkeypatch,
        "history",
        slot_of("youbike-taipei", 1),
        slot_of("youbike-taipei", 2, **counts),
        slot_of("velib-metropole", 3),
    )

    assert len([line for line in lines if " rejected: drift " in f"{line} "]) == 3
    assert "No room for: name, renting; see --format csv" in lines
    assert max(map(len, lines)) <= 80


def test_the_list_of_stations_keeps_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are whole: since when a station is listed is left out before.

    If the ids leave no room, they are shortened.
    """
    row: dict[str, object] = {"system_id": "youbike-taipei", "station_id": "500101001"}
    row |= {"name": "Town Hall Square", "region": "Bamboo", "lat": -48.896559}
    row |= {"lon": -123.31728, "capacity": 40, "since": 300, "until": None}
    other = row | {"system_id": "velib-metropole", "station_id": "16107"}
    other |= {"name": "Park", "region": "Paris", "since": 600}

    lines = in_eighty_columns(monkeypatch, "stations", row, other)
    long = {"station_id": "66db237e-0aca-11e7-82f6-3863bb44ef7c"}
    narrow = in_eighty_columns(monkeypatch, "stations", row | long, other)

    assert [line for line in lines if " Town Hall Square " in line]
    assert "No room for: since; see --format csv" in lines
    assert [line for line in narrow if " Town Ha… " in line]
    assert max(map(len, [*lines, *narrow])) <= 80


def test_ids_are_whole_and_names_of_figures_are_not_broken() -> None:
    """An id of more than forty characters can be given to --station."""
    station = "motivate_NYC_66db237e-0aca-11e7-82f6-3863bb44ef7c"

    lines = fitted(["station", "95 % interval"], [(station, 1)], 60).text.splitlines()

    assert [line.strip() for line in lines[:1]] == ["95 %"]
    assert lines[-1].split() == [station, "1"]


def test_quartiles_stay_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty columns of which only the first says what it is of are not left out."""
    quartiles = ("low", "mid", "high")
    row: dict[str, object] = {"system_id": "a", "station_id": "0001", "name": "Park"}
    row |= {"weekday": 0, "minute": 15, "days_seen": 0, "days_expected": 1}
    row |= {f"{q}_{of}": None for of in ("vehicles", "docks") for q in quartiles}
    other = row | {"station_id": "a" * 16, "name": "A long name of a station"}

    lines = in_eighty_columns(monkeypatch, "typical", row, other)

    assert lines[3].endswith("expected     25 % 50 % 75 %  25 % 50 % 75 %")
    assert "No room for: name; see --format csv" in lines


@pytest.mark.usefixtures("world")
def test_a_query_that_is_too_wide_for_a_table_says_what_to_do(config: Path) -> None:
    """It is a line per value: sixty lines for three rows."""
    pytest.importorskip("duckdb")
    sql, hint = "SELECT * FROM station_status LIMIT {}", "select fewer columns"

    shown = on_terminal("--config", config, "query", sql.format(2))

    assert re.search(r"^station_id +0001$", shown, re.MULTILINE)
    assert shown.endswith(f"too wide for a table: {hint}, or see --format csv\n")
    assert hint not in on_terminal("--config", config, "query", sql.format(1))
    none = on_terminal("--config", config, "query", sql.format(0))
    assert "no rows: nothing matches, or it was not collected; see: " in none


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("command", ["status", "runs --since 2026-11-22", "doctor"])
def test_a_dumb_terminal_gets_no_escape_sequence(config: Path, command: str) -> None:
    """No colour, and no line that is written over."""
    arguments = ("--config", config, *command.split())

    assert "\x1b" not in on_terminal(*arguments, TERM="dumb")
    assert "\x1b" in on_terminal(*arguments, TERM="xterm")


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("words", "incomplete", "values"),
    [
        ("fetch", "ci", ["city"]),
        ("help", "stat", ["status"]),
        ("status", "x", []),
        ("report", "snap", ["snapshot"]),
        ("report snapshot", "c", ["city"]),
        ("report snapshot --station", "00", ["0001", "0002"]),
        ("export city --station", "0001", ["0001"]),
        ("runs list --outcome", "rej", ["rejected"]),
        ("feeds show", "velib-p", ["velib-paris"]),
    ],
)
def test_a_tab_completes(
    config: Path, words: str, incomplete: str, values: list[str]
) -> None:
    """Systems, reports, stations, outcomes and feeds, by the settings in use."""
    result = CliRunner().invoke(
        cli,
        prog_name="bikecollect",
        env={
            "_BIKECOLLECT_COMPLETE": "bash_complete",
            "COMP_WORDS": f"bikecollect --config {config} {words} {incomplete}",
            "COMP_CWORD": str(3 + len(words.split())),
        },
    )

    completed = [line.partition(",")[2] for line in result.output.split()]
    assert [value for value in completed if value] == values


def parameters(command: click.Command, name: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the parameters of *command* and its parts, and whether they complete."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for part in command.list_commands(context):
            inner = command.get_command(context, part)
            assert inner is not None
            yield from parameters(inner, f"{name} {part}".strip())
    for parameter in command.params:
        completes = parameter._custom_shell_complete is not None
        yield name, str(parameter.name), completes


def test_every_system_and_station_completes() -> None:
    """Also those of commands that come later."""
    named = {"system_ids", "system_id", "system", "station", "outcome", "old"}

    missing = [
        (command, name)
        for command, name, completes in parameters(cli, "")
        if name in named and not completes
    ]

    assert missing == []


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("backfil-report", 'did you mean "backfill-report"'),
        ("feeds serch oslo", "Did you mean 'search'"),
        ("status --watc 5", "Did you mean"),
        ("report houres", 'did you mean "hours"'),
        ("typical oslo", 'did you mean "report typical"'),
        ("export --what stationstatus", "station_status"),
        ("runs --outcome colected", "collected"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(config: Path, words: str, hint: str) -> None:
    """Commands, options, reports, tables and outcomes; exit code 64."""
    process = bikecollect("--config", config, *words.split())

    assert process.returncode == 64
    assert hint.lower() in process.stderr.lower()
