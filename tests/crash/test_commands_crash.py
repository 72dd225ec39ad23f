"""Commands are killed and failed at their calls; no history, result or mail is lost."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import CODES, KILL, Site, attempt_all, end, sample
from harness import account

pytest.importorskip("duckdb")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("strace") is None, reason="strace is not installed"
    ),
]
ERRORS = ("error=EIO", "error=ENOSPC", "error=EACCES", "error=EMFILE")
SLOTS = {-288: 1, -287: 2, 0: 3, 1: 4, 2: 5}
DAMAGED = "station_status/2026-11-22.csv"


def history(root: Path) -> Site:
    """Return a site with two slots of yesterday and three of today."""
    site = Site(root)
    for slot, number in SLOTS.items():
        assert site.fetch(number, slot) == (0, "")
    return site


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a site with a history of two days."""
    return history(tmp_path_factory.mktemp("commands") / "site")


def calls_of(template: Site, *command: object) -> list[str]:
    """Return the calls of *command* on a copy of *template*."""
    counted = template.copy(template.root.with_name("counted"))
    try:
        return counted.calls(*command)
    finally:
        shutil.rmtree(counted.root)


def cases_of(template: Site, *command: object, most: int) -> list[tuple[str, str]]:
    """Return cases of *command*: kills at *most* calls, each error at a third of it."""
    calls = calls_of(template, *command)
    kills = sample(calls, KILL, most)
    return kills + [c for what in ERRORS for c in sample(calls, what, most // 3)]


def undocumented(ended: tuple[int, str], case: Sequence[str]) -> list[str]:
    """Return what is wrong with the end of a command that met *case*."""
    code, printed = ended
    bad = [f"a traceback: {printed[-300:]}"] if "Traceback" in printed else []
    if "SIGKILL" in case[1]:
        return bad
    if code not in CODES:
        bad.append(f"ended with {code}: {printed[-200:]}")
    if code and not printed:
        bad.append(f"ended with {code} and printed nothing")
    return bad


def again(site: Site, *command: object) -> list[str]:
    """Run *command* on a healthy disk; return how it failed."""
    code, printed = site.run(*command)
    return [] if code == 0 else [f"{command} ended with {code}: {printed[-300:]}"]


def collected(site: Site, number: int) -> list[str]:
    """Run `fetch`, which also cleans the inbox; return how it failed."""
    ended = site.fetch(number, number)
    return [] if ended == (0, "") else [f"fetch ended with {ended}"]


def test_compact_killed_or_failed_anywhere_is_completed_by_the_next(
    template: Site,
) -> None:
    """CSV and archive together keep each row; the next call archives every day."""
    command = ("compact", "--csv-days", "0")
    cases = cases_of(template, *command, most=9)

    def attempt(site: Site, case: Sequence[str]) -> list[str]:
        bad = undocumented(site.run(*command, inject=case), case)
        bad += again(site, *command) + again(site, "verify", "--deep")
        if list((site.city / "station_status").glob("*.csv")):
            bad.append("a CSV is left")
        return bad + site.violations()

    bad = attempt_all(template, cases, attempt)
    account("compact", len(cases), bad)
    assert len(cases) > 15
    assert bad == {}


def test_an_export_beside_a_killed_compact_is_whole_or_absent(template: Site) -> None:
    """An export that reads meanwhile gives every row, or says 74 and makes no file."""
    command = ("compact", "--csv-days", "0")
    whole = template.copy(template.root.with_name("whole"))
    result = whole.root / "rows.csv"
    assert whole.run("export", "-o", result)[0] == 0
    expected = result.read_bytes()
    cases = sample(calls_of(template, *command), KILL, 6)

    def attempt(site: Site, case: Sequence[str]) -> list[str]:
        rows = site.root / "rows.csv"
        reader = site.start("export", "-o", rows)
        site.run(*command, inject=case)
        code, printed = end(reader)
        bad = [] if code in {0, 74} else [f"export ended with {code}: {printed}"]
        if rows.exists() != (code == 0) or (
            code == 0 and rows.read_bytes() != expected
        ):
            bad.append(f"export ended with {code}, its file is not whole")
        bad += again(site, *command) + again(site, "export", "-o", rows)
        return bad + ([] if rows.read_bytes() == expected else ["another history"])

    bad = attempt_all(template, cases, attempt)
    account("export beside compact", len(cases), bad)
    assert bad == {}


def test_backfill_of_a_damaged_block_can_be_killed_anywhere(tmp_path: Path) -> None:
    """`query` reads at once; backfill and `verify --repair` leave a clean history."""
    template = history(tmp_path / "damaged")
    file = template.city / DAMAGED
    data = bytearray(file.read_bytes())
    begin = data.index(b"2026-11-22T12:05:00") + 300
    data[begin : begin + 10] = b"XXXXXXXXXX"
    file.write_bytes(data)
    cases = cases_of(template, "backfill", most=12)

    def attempt(site: Site, case: Sequence[str]) -> list[str]:
        bad = undocumented(site.run("backfill", inject=case), case)
        bad += again(
            site,
            "query",
            "SELECT count(bikes) FROM (SELECT"
            " num_vehicles_available AS bikes FROM station_status)",
        )
        bad += again(site, "backfill") + again(site, "verify", "--repair")
        bad += collected(site, 9)
        return bad + again(site, "verify", "--deep") + site.violations()

    bad = attempt_all(template, cases, attempt)
    account("backfill of kept payloads", len(cases), bad)
    assert len(cases) > 20
    assert bad == {}


def test_backfill_from_another_folder_can_be_killed_anywhere(
    template: Site,
) -> None:
    """The next call fills what is missing; each slot is there once."""
    other = template.copy(template.root.with_name("other"))
    for number, slot in ((6, 3), (7, 4), (8, -286)):
        assert other.fetch(number, slot) == (0, "")
    command = ("backfill", "--from", other.city)
    cases = cases_of(template, *command, most=12)

    def attempt(site: Site, case: Sequence[str]) -> list[str]:
        bad = undocumented(site.run(*command, inject=case), case)
        site.age()
        bad += again(site, *command) + again(site, "verify", "--deep")
        site.slots = dict(other.slots)
        bad += collected(site, 9)
        return bad + site.violations()

    bad = attempt_all(template, cases, attempt)
    account("backfill --from", len(cases), bad)
    assert len(cases) > 20
    assert bad == {}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_result_of_export_is_whole_or_absent(template: Site, ending: str) -> None:
    """However export ends; the next call leaves no temporary files."""
    whole = template.copy(template.root.with_name(f"whole-{ending}"))
    name = f"rows.{ending}"
    assert whole.run("export", "-o", whole.root / name)[0] == 0
    expected = (whole.root / name).read_bytes()
    cases = cases_of(
        template, "export", "-o", template.root.with_name("counted") / name, most=6
    )

    def attempt(site: Site, case: Sequence[str]) -> list[str]:
        result = site.root / name
        code, printed = site.run("export", "-o", result, inject=case)
        bad = undocumented((code, printed), case)
        if result.exists() and result.read_bytes() != expected:
            bad.append(f"ended with {code}, its file is not whole")
        if code == 0 and not result.exists():
            bad.append("ended with 0 without a file")
        site.age()
        bad += again(site, "export", "-o", result)
        if result.read_bytes() != expected:
            bad.append("the next export differs")
        return bad + site.violations()

    bad = attempt_all(template, cases, attempt)
    account(f"export {ending}", len(cases), bad)
    assert len(cases) > 10
    assert bad == {}
