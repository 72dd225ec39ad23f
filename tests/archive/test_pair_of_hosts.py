"""The how-to `collect-with-two-hosts`: two collectors, each with its own mirror."""

from pathlib import Path

import pytest
from mirrored import City, mirrored_city
from s3server import BUCKET, Proxy
from world import World

from bikecollect.core.errors import FeedUnavailable
from bikecollect.core.slots import DAY

pytest.importorskip("duckdb")
pytest.importorskip("obstore")
pytest.importorskip("moto")


def host(folder: Path, s3_proxy: Proxy, outages: set[int]) -> City:
    """Return a host that collected six slots without those of *outages*."""
    folder.mkdir()
    world = World(folder / "bikes" / "city")
    (world.folder / ".bikecollect").touch()
    world.clock.now -= 900 * DAY
    for number in range(6):
        if number in outages:
            world.feed.answer = FeedUnavailable("no answer in 30 s")
            world.fetch(after=300)
        else:
            world.fetch({"0001": number, "0002": 9 - number}, after=300)
    config = folder / "bikecollect.toml"
    config.write_text(
        f'data_dir = "{world.folder.parent}"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1/"\n',
        encoding="utf-8",
    )
    return mirrored_city(world.folder, config, s3_proxy, folder)


def vehicles(city: City) -> list[tuple[str, int]]:
    """Return the minute and the vehicles of station 0001 in each slot of *city*."""
    lines = [line.split(",") for line in city.run("export").stdout.splitlines()[1:]]
    return [(line[0][11:16], int(line[3])) for line in lines if line[2] == "0001"]


ALL = [("12:05", 0), ("12:10", 1), ("12:15", 2), ("12:20", 3), ("12:25", 4)]
ALL += [("12:30", 5)]


def test_two_hosts_fill_each_other_from_their_mirrors(
    s3_proxy: Proxy, tmp_path: Path
) -> None:
    """Different outages on a closed day: both have every slot in the end."""
    one = host(tmp_path / "one", s3_proxy, {1, 2})
    two = host(tmp_path / "two", s3_proxy, {4})
    codes = [city.run("compact").returncode for city in (one, two)]

    filled = one.run("backfill", "city", "--from", two.address)
    again = two.run("backfill", "city", "--from", one.address)

    assert (codes, filled.returncode, again.returncode) == ([0, 0], 0, 0)
    assert one.address != two.address
    assert one.address.startswith(f"s3://{BUCKET}/")
    assert vehicles(one) == ALL
    assert vehicles(two) == ALL


def test_the_merged_day_is_archived_and_copied_again(
    s3_proxy: Proxy, tmp_path: Path
) -> None:
    """The next compact of the filled host brings its own mirror up to date."""
    one = host(tmp_path / "one", s3_proxy, {1, 2})
    two = host(tmp_path / "two", s3_proxy, {4})
    one.run("compact")
    two.run("compact")
    one.run("backfill", "city", "--from", two.address)

    process = one.run("compact")
    proof = one.run("verify", "--mirror")
    count = one.run(
        "query", "SELECT count(*) AS n FROM station_status", "--mirror", "--format=csv"
    )

    assert (process.returncode, proof.returncode) == (0, 0)
    assert count.stdout == "n\n12\n"


def test_an_open_day_is_filled_from_the_other_hosts_live_copy(
    s3_proxy: Proxy, tmp_path: Path
) -> None:
    """Without waiting for the night; the slots keep where they came from."""
    one = host(tmp_path / "one", s3_proxy, {0, 5})
    two = host(tmp_path / "two", s3_proxy, {3})
    pushed = two.run("push", "--live")

    filled = one.run("backfill", "city", "--from", two.address)
    sources = one.run(
        "query", "SELECT DISTINCT source FROM slots WHERE source <> ''", "--format=csv"
    )

    assert (pushed.returncode, filled.returncode) == (0, 0)
    assert vehicles(one) == ALL
    assert two.address in sources.stdout


def test_a_host_of_the_pair_does_not_write_to_the_others_mirror(
    s3_proxy: Proxy, tmp_path: Path
) -> None:
    """Filling only reads there; the same prefix by mistake is an error."""
    one = host(tmp_path / "one", s3_proxy, {1, 2})
    two = host(tmp_path / "two", s3_proxy, {4})
    two.run("push", "--live")
    s3_proxy.requests.clear()
    one.run("backfill", "city", "--from", two.address)
    written = s3_proxy.puts()
    fresh = host(tmp_path / "three", s3_proxy, {0})
    text = fresh.config.read_text(encoding="utf-8")
    fresh.config.write_text(text.replace(fresh.address, two.address), encoding="utf-8")

    process = fresh.run("push", "--live")

    assert written == []
    assert process.returncode == 74
    assert "give each its own prefix" in process.stderr
