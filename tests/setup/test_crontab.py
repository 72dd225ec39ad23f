"""The crontab's text: only our block is added and removed."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bikecollect.core.errors import SettingsError
from bikecollect.setup.scheduler import cron, systemd
from bikecollect.setup.scheduler import cron_schedule as own_crontab
from bikecollect.setup.scheduler.cron import BEGIN, END, CronState

BLOCK = cron.block(["*/5 * * * * bikecollect fetch"])
OTHERS = [
    b"",
    b"MAILTO=me\n0 4 * * * backup\n",
    b"# no newline at the end",
    b"\n\n# \xff not UTF-8\r\n@reboot x\x0by \xc2\x85 z\n\n",
]


@pytest.mark.parametrize("crontab", OTHERS)
def test_a_removed_block_leaves_no_trace(crontab: bytes) -> None:
    """After installing and removing, every other byte is unchanged."""
    merged = cron.merged(crontab, BLOCK)

    assert merged.startswith(crontab)
    assert cron.without(merged).removesuffix(b"\n") == crontab.removesuffix(b"\n")
    assert cron.merged(merged, BLOCK) == merged


def test_an_older_block_is_replaced_in_place() -> None:
    """The lines around it keep their order; a second copy is removed."""
    old = cron.block(["*/9 * * * * bikecollect old"]).encode()

    merged = cron.merged(b"a\n" + old + b"b\n" + old + b"c\n", BLOCK)

    assert merged == b"a\n" + BLOCK.encode() + b"b\nc\n"


def test_a_user_s_lines_in_the_block_are_kept() -> None:
    """Before it, so that its variables keep their effect; nobody else has a copy."""
    theirs = b"PATH=/opt/bin\n0 2 * * * backup\n"
    mark, rest = BLOCK.encode().split(b"\n", 1)
    crontab = b"a\n" + mark + b"\n" + theirs + rest + b"b\n"

    assert cron.merged(crontab, BLOCK) == b"a\n" + theirs + BLOCK.encode() + b"b\n"
    assert cron.without(crontab) == b"a\n" + theirs + b"b\n"


@pytest.mark.parametrize(
    ("crontab", "state"),
    [
        (b"a\n", CronState.ABSENT),
        (b"a\n" + BLOCK.encode() + b"b\n", CronState.CURRENT),
        (cron.block(["* * * * * other"]).encode(), CronState.OUTDATED),
        (BLOCK.encode() * 2, CronState.OUTDATED),
        (BLOCK.replace("fetch\n", "fetch\r\n").encode(), CronState.OUTDATED),
    ],
)
def test_the_state_of_the_block_is_recognised(crontab: bytes, state: CronState) -> None:
    """Absent, installed, or different."""
    assert cron.state(crontab, BLOCK) is state


@pytest.mark.parametrize(
    "crontab",
    [f"{BEGIN}\na\n", f"a\n{END}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"],
)
def test_a_single_mark_changes_nothing(crontab: str) -> None:
    """Nothing is cut if the end of the block is unknown."""
    with pytest.raises(SettingsError, match="crontab -e"):
        cron.merged(crontab.encode(), BLOCK)


@pytest.mark.parametrize("interval", [1, 30, 45, 90, 400, 420, 2700, 5400])
def test_intervals_that_cron_cannot_express_are_refused(interval: int) -> None:
    """Half minutes, and minutes that do not divide an hour."""
    with pytest.raises(SettingsError, match="--systemd"):
        cron.expression(interval)


@pytest.mark.parametrize(
    ("interval", "fields"),
    [(1200, "*/20 * * * *"), (43_200, "0 */12 * * *"), (86_400, "0 0 * * *")],
)
def test_intervals_that_cron_can_express(interval: int, fields: str) -> None:
    """Parts of an hour, whole hours, a day."""
    assert cron.expression(interval) == fields


def test_a_path_is_quoted_and_its_percent_sign_escaped() -> None:
    """Cron does not take it for the end of the command (fault 93)."""
    line = cron.line("* * * * *", ["/a b/100%", "it's"])

    assert line == "* * * * * '/a b/100\\%' 'it'\"'\"'s'"


@pytest.mark.parametrize("word", ["two\nlines", "x" * 1000])
def test_a_command_that_cron_cannot_hold_is_refused(word: str) -> None:
    """One with a line break, and one that cron would truncate (fault 93)."""
    with pytest.raises(SettingsError):
        cron.line("* * * * *", ["bikecollect", word])


def test_the_lines_of_the_docker_image_are_recognised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their settings are in a variable."""
    docker = (Path(__file__).parents[2] / "docker/crontab").read_bytes()
    monkeypatch.setattr(own_crontab, "read_crontab", lambda: docker)
    monkeypatch.setattr(own_crontab, "_of_the_machine", list)

    (line,) = own_crontab.lines_by_hand(Path("/config/bikecollect.toml"))
    assert line.endswith("bikecollect fetch")
    assert own_crontab.lines_by_hand(Path("/config/other.toml")) == []


def test_the_next_fires_are_on_the_wall_clock() -> None:
    """An hour that is skipped in spring fires nothing."""
    paris = ZoneInfo("Europe/Paris")
    now = datetime(2026, 3, 29, 1, 31, 20, tzinfo=paris).timestamp()

    moments = cron.next_fires(
        "*/30 * * * *", now, lambda at: datetime.fromtimestamp(at, paris)
    )

    assert [moment.strftime("%H:%M%z") for moment in moments] == [
        *("03:00+0200", "03:30+0200", "04:00+0200"),
    ]


def test_a_moment_that_is_now_is_not_next() -> None:
    """At a fire, the next one is an interval away."""
    east = timezone(timedelta(hours=8))

    moments = cron.next_fires(
        "0 0 * * *", 1_763_740_800, lambda at: datetime.fromtimestamp(at, east), 1
    )

    assert moments == [datetime(2025, 11, 23, tzinfo=east)]


@pytest.mark.parametrize(
    ("interval", "lines"),
    [
        (1, ["*:*:*"]),
        (5, ["*:*:1/5"]),
        (60, ["*:0/1:7"]),
        (300, ["*:0/5:7"]),
        (1200, ["*:0/20:7 UTC"]),
        (3600, ["0/1:00:7 UTC"]),
        (86_400, ["0:00:7 UTC"]),
    ],
)
def test_a_timer_can_express_every_interval(interval: int, lines: list[str]) -> None:
    """Seconds too; in UTC where local time would shift it."""
    assert systemd.calendar(interval) == lines


def test_a_timer_of_too_many_lines_is_refused() -> None:
    """128 s divides a day, but no hour or minute."""
    with pytest.raises(SettingsError, match="divides an hour"):
        systemd.calendar(128)


def test_a_timer_fires_some_seconds_into_the_slot() -> None:
    """Seven seconds of five minutes, and never at the present moment."""
    moments = systemd.next_fires(300, 1_800_000_007.0, 2)

    assert [moment.timestamp() for moment in moments] == [1_800_000_307, 1_800_000_607]


@pytest.mark.parametrize(
    ("interval", "zones", "lines"),
    [
        (21_600, ["Europe/Oslo"], ["0/6:00:7 Europe/Oslo"]),
        (1800, ["Asia/Kathmandu"], ["*:0/30:7 Asia/Kathmandu"]),
        (
            3600,
            ["Asia/Kolkata", "Europe/Oslo", "Asia/Kolkata"],
            ["0/1:00:7 Asia/Kolkata", "0/1:00:7 Europe/Oslo"],
        ),
        (300, ["Asia/Kolkata"], ["*:0/5:7"]),
        (5400, ["Europe/Oslo"], ["0/3:00:7 UTC", "1/3:30:7 UTC"]),
    ],
)
def test_a_timer_fires_at_the_start_of_slots(
    interval: int, zones: list[str], lines: list[str]
) -> None:
    """By the clock of each system; short slots need no zone."""
    assert systemd.calendar(interval, zones) == lines


def test_the_next_fires_of_a_timer_are_slots_of_the_zone() -> None:
    """06:00, 12:00 and 18:00 in Oslo."""
    fires = systemd.next_fires(21_600, 1_795_658_400.0, zones=["Europe/Oslo"])
    local = [f.astimezone(ZoneInfo("Europe/Oslo")).strftime("%H:%M:%S") for f in fires]

    assert local == ["06:00:07", "12:00:07", "18:00:07"]
