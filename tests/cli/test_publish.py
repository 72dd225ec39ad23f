"""A dataset can be cited, validated by other tools, and verified alone."""

import csv
import json
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from in_process import bikecollect
from templates import copied
from world import NOON, World

from bikecollect.cli.publishing.dataset_folder import placed_folder
from bikecollect.core.errors import UsageError
from bikecollect.core.slots import DAY
from bikecollect.storage.files import flock, marker

pytest.importorskip("duckdb")
CFFCONVERT = shutil.which("cffconvert", path=f"{sys.prefix}/cff/bin") or shutil.which(
    "cffconvert"
)
TABLES = ["coverage", "gaps", "runs", "slots", "station_status", "stations"]
DOCUMENTS = [
    ".zenodo.json",
    "CITATION.cff",
    "README.md",
    "SHA256SUMS",
    "certificates.jsonl",
    "datapackage.json",
]
CITED = (
    *("--author", "Lovelace, Ada https://orcid.org/0000-0002-1825-0097"),
    *("--doi", "https://doi.org/10.5281/zenodo.123"),
)
SOURCES = (
    *("backfill kept", "backfill other_a|b /srv/secret 1/a.csv"),
    *(
        "backfill bikecollect /srv/secret/a b",
        "backfill bikecollect file:///srv/mirror",
    ),
    "backfill bikecollect s3://secret-bucket/prefix",
)
"""The sources of five slots; others read a dataset without paths and addresses."""
PUBLISHER = (
    '\n[systems.city.publisher]\ntitle = "City: \\"Bikes\\" & Co"\n'
    'name = "[Port] of <X>"\nurl = "https://port.example/"\nlicense = "CC-BY-4.0"\n'
    'license_url = "https://creativecommons.org/licenses/by/4.0/"\n'
)


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a world of two closed days with a gap, odd names, and its dataset."""
    world = World(folder / "city")
    for bikes in (1, 2, 0):
        world.fetch({"0002": bikes, "=HYPER,1": 7}, after=300)
    world.clock.now += DAY
    world.fetch({"0002": 4}, names={"0002": '"新"\n站, @'})
    world.fetch({"0002": 5}, after=900)
    settings = folder / "bikecollect.toml"
    settings.write_text(
        f'data_dir = "{folder}"\n[systems.city]\nfeed = "youbike"\n'
        f'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1/"\n{PUBLISHER}',
        encoding="utf-8",
    )
    publish(settings, *CITED, "-o", folder / "dataset")
    settings.unlink()
    return world


@pytest.fixture
def dataset(world: World, folder: Path, config: Path) -> Path:
    """Return the dataset of *world*, whose settings get their publisher."""
    assert world.folder.exists()
    config.write_text(config.read_text("utf-8") + PUBLISHER, encoding="utf-8")
    config.chmod(0o600)
    return folder / "dataset"


def publish(config: Path, *arguments: object) -> str:
    """Publish without an end; return the output."""
    process = bikecollect(
        "--config", config, "publish", "--until", "2026-11-23", *arguments
    )
    assert process.returncode == 0, process.stderr
    return process.stdout + process.stderr


def test_without_data_there_is_nothing_to_publish(tmp_path: Path) -> None:
    """The error names the system and the command to run next; no folder is made."""
    config, target = tmp_path / "bikecollect.toml", tmp_path / "dataset"
    config.write_text(
        f'data_dir = "{tmp_path}/bikes"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1/"\n',
        encoding="utf-8",
    )

    process = bikecollect("--config", config, "publish", "-o", target)

    assert process.returncode == 64
    assert "city has no data to publish yet; see: " in process.stderr
    assert not target.exists()


def findings(dataset: Path) -> list[tuple[str, str]]:
    """Return the findings of `verify` on *dataset*; it needs no settings."""
    process = bikecollect(
        "verify", dataset, "--format", "json", BIKECOLLECT_CONFIG="/nonexistent"
    )
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    assert process.returncode == (1 if lines else 0), process.stderr
    return [(line["where"], line["finding"]) for line in lines]


def renew_sums(dataset: Path) -> None:
    """Rewrite the checksums, as an attacker would who hides a change."""
    lines = [
        f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(dataset)}\n"
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and path.name != "SHA256SUMS"
    ]
    (dataset / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def test_a_dataset_has_tables_documents_and_nothing_else(dataset: Path) -> None:
    """All files are readable for others."""
    files = [path for path in dataset.rglob("*") if path.is_file()]

    assert sorted(path.name for path in files) == sorted(
        [*DOCUMENTS, *(f"{table}.csv" for table in TABLES)]
    )
    assert {path.stat().st_mode & 0o777 for path in files} == {0o644}
    assert not list(dataset.parent.glob(".dataset*"))


@pytest.mark.parametrize("form", ["csv", "parquet", "both"])
def test_frictionless_finds_it_valid(
    dataset: Path, config: Path, folder: Path, form: str
) -> None:
    """Types, keys, sizes and checksums of every table."""
    frictionless = pytest.importorskip("frictionless")
    target = folder / form
    publish(config, *CITED, "--format", form, "-o", target)
    package = json.loads((target / "datapackage.json").read_text("utf-8"))
    assert package["id"] == "https://doi.org/10.5281/zenodo.123"
    assert len({table["name"] for table in package["resources"]}) == len(
        package["resources"]
    )
    gaps = next(r for r in package["resources"] if r["title"] == "gaps")
    texts = {f["name"]: f["description"] for f in gaps["schema"]["fields"]}
    assert texts["slots"] == "missing slots"

    report = frictionless.validate(str(target / "datapackage.json"))

    problems = [error.message for task in report.tasks for error in task.errors]
    assert (problems, [error.message for error in report.errors]) == ([], [])
    assert report.valid
    assert len(report.tasks) == (12 if form == "both" else 6)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_documents_name_certificates_only_if_there_are_some(
    config: Path, folder: Path, form: str
) -> None:
    """Those of days are those of their rows as CSV."""
    target = folder / form
    publish(config, "--format", form, "-o", target)

    text = (target / "README.md").read_text("utf-8")

    assert "sha256sum -c SHA256SUMS" in text
    assert (target / "certificates.jsonl").exists() is (form == "csv")
    assert ("certificates.jsonl" in text) is (form == "csv")
    notes = json.loads((target / ".zenodo.json").read_text("utf-8"))["notes"]
    assert ("certificates" in notes) is (form == "csv")


@pytest.mark.skipif(CFFCONVERT is None, reason="cffconvert is not installed")
@pytest.mark.parametrize(
    "publisher",
    [
        PUBLISHER,
        PUBLISHER.replace("CC-BY-4.0", "Licence of our own"),
        '\n[systems.city.publisher]\ntitle = "A: b # c - \\\\ é 站"\n',
    ],
)
def test_cffconvert_finds_the_citation_valid(
    dataset: Path, config: Path, folder: Path, publisher: str
) -> None:
    """With a known licence, with another one, and with none; titles are quoted."""
    text = config.read_text("utf-8").replace(PUBLISHER, publisher)
    config.write_text(text, encoding="utf-8")
    target = folder / "other"
    publish(config, *CITED, "-o", target)
    cited = (target / "CITATION.cff").read_text("utf-8")

    assert "orcid: https://orcid.org/0000-0002-1825-0097\n" in cited
    assert 'doi: "10.5281/zenodo.123"\n' in cited
    process = subprocess.run(
        [str(CFFCONVERT), "--validate", "-i", str(target / "CITATION.cff")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.returncode == 0, process.stdout + process.stderr


def test_a_dataset_can_be_verified_alone(dataset: Path) -> None:
    """By `verify` without settings, and by sha256sum."""
    assert findings(dataset) == []
    process = subprocess.run(
        ["sha256sum", "--quiet", "-c", "SHA256SUMS"],
        cwd=dataset,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout) == (0, "")


def test_another_folder_is_no_unknown_system(config: Path, folder: Path) -> None:
    """A path names what a dataset has."""
    process = bikecollect("--config", config, "verify", f"{folder}/")

    assert process.returncode == 64
    assert f"{folder}/: not a published dataset" in process.stderr
    named = bikecollect("--config", config, "verify", "november")
    assert named.returncode == 78
    assert "there is no folder of that name" in named.stderr


def test_the_certificates_are_those_of_the_collector(
    dataset: Path, config: Path, folder: Path
) -> None:
    """A day has the same checksum everywhere."""
    mine = folder / "mine.jsonl"
    bikecollect("--config", config, "verify", "--certificates", mine)

    ours = [json.loads(line) for line in mine.read_text("utf-8").splitlines()]
    published = (dataset / "certificates.jsonl").read_text("utf-8").splitlines()
    theirs = [json.loads(line) for line in published]
    assert [(day["date"], day["sha256"], day["slots"]) for day in ours] == [
        (day["date"], day["sha256"], day["slots"]) for day in theirs
    ]
    assert all(day["collector_sha256"] == day["sha256"] for day in theirs)


def cut_a_row(dataset: Path) -> None:
    """Remove the last row of the stations."""
    path = dataset / "data/station_status.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")


def change_a_count(dataset: Path) -> None:
    """Change a number of bikes."""
    path = dataset / "data/station_status.csv"
    path.write_text(path.read_text("utf-8").replace(",7,", ",8,", 1), encoding="utf-8")


def drop_a_day(dataset: Path) -> None:
    """Remove a day, with its certificate."""
    path = dataset / "data/station_status.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("2026-11-22")]
    path.write_text("".join(kept), encoding="utf-8")
    path = dataset / "certificates.jsonl"
    path.write_text(path.read_text("utf-8").partition("\n")[2], encoding="utf-8")


@pytest.mark.parametrize("change", [cut_a_row, change_a_count, drop_a_day])
def test_a_change_is_found_despite_new_checksums(dataset: Path, change: object) -> None:
    """Certificates and slots have the rows' digests, too."""
    assert callable(change)
    change(dataset)
    assert ("data/station_status.csv", "sha256 mismatch") in findings(dataset)

    renew_sums(dataset)

    assert {where[:7] for where, _ in findings(dataset)} == {"2026-11"}


def test_files_that_are_lost_or_added_are_found(dataset: Path) -> None:
    """Each is named."""
    (dataset / "data/gaps.csv").unlink()
    (dataset / "data/more.csv").write_text("a\n", encoding="utf-8")

    assert findings(dataset) == [
        ("data/gaps.csv", "is missing"),
        ("data/more.csv", "is not in SHA256SUMS"),
    ]


def test_a_checksum_that_leads_out_of_the_folder_is_not_followed(dataset: Path) -> None:
    """A dataset is untrusted."""
    sums = dataset / "SHA256SUMS"
    sums.write_text(f"{'0' * 64}  ../../etc/passwd\n", encoding="utf-8")

    assert findings(dataset)[0][0] == "SHA256SUMS"


def test_runs_contain_nothing_of_the_machine(dataset: Path) -> None:
    """No path, no boot id, no message of an error."""
    with (dataset / "data/runs.csv").open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))

    assert not {"boot_id", "uptime", "awake", "file", "error"} & set(header)
    assert {"slot", "outcome", "cause"} <= set(header)


def test_the_readme_states_methods_coverage_sources_and_licence(dataset: Path) -> None:
    """A researcher needs them before any figure."""
    text = (dataset / "README.md").read_text("utf-8")

    assert "one every 5 min" in text
    for words in (
        "*Stale.*",
        "*Partial.*",
        "*Missing.*",
        "| not-started | ",
        "| fetch | 5 | collected in its slot |",
        "Data: \\[Port\\] of \\<X>",
        "[CC-BY-4.0](https://creativecommons.org/licenses/by/4.0/)",
        "sha256sum -c SHA256SUMS",
        "Lovelace, Ada (2",
        "[Data set]. <https://doi.org/10.5281/zenodo.123>",
    ):
        assert words in text
    filled = text.partition("## How slots were filled")[2].partition("##")[0]
    assert filled.split("\n\n")[1].splitlines()[2:] == [
        "| fetch | 5 | collected in its slot |"
    ], "missing slots were not filled"


def test_a_changed_interval_and_another_archive_are_described(
    world: World, dataset: Path, config: Path
) -> None:
    """Today's interval and zone are not those of the first day; imports not kept."""
    fact = {"columns": ["occupancy"], "local": True}
    midnight = int(NOON) + DAY // 2
    facts = [
        {"since": 0, "interval": 300, "timezone": "Asia/Taipei", **fact},
        {"since": midnight, "interval": 600, "timezone": "Asia/Singapore", **fact},
    ]
    (world.folder / "facts.json").write_text(json.dumps({"facts": facts}))
    text = config.read_text().replace("[systems", 'interval = "10min"\n[systems', 1)
    text = text.replace("Asia/Taipei", "Asia/Singapore")
    config.write_text(text)
    world.ledger.open()
    with world.ledger.transaction() as db:
        slots = [slot for (slot,) in db.execute("SELECT slot FROM blocks")]
        for source, slot in zip(SOURCES, slots, strict=True):
            sql = "UPDATE blocks SET source = ? WHERE slot = ?"
            db.execute(sql, (source, slot))
    world.ledger.close()

    publish(config, "--format", "both", "-o", dataset.parent / "again")

    text = (dataset.parent / "again/README.md").read_text("utf-8")
    assert "one every 5 min, then 10 min, from" in text
    lengths = "slots of 5 min, and of 10 min from 2026-11-23 00:00 (+08:00) on,"
    assert lengths in " ".join(text.split())
    assert "A slot counts once, however long it is." in text
    assert "Days are those of Asia/Taipei, then Asia/Singapore." in text
    assert "| committed later from a payload that was kept |" in text
    assert "| backfill other\\_a\\|b | 1 | filled later from another archive |" in text
    assert "| backfill bikecollect | 1 | filled later from another copy of" in text
    assert "| backfill mirror | 2 | filled later from a mirror of this" in text
    files = [path for path in (dataset.parent / "again").rglob("*") if path.is_file()]
    published = b"".join(path.read_bytes() for path in files)
    assert not re.search(rb"secret|(/srv|file:/|s3:/)", published)
    assert published.count(b",backfill mirror,") == 2


def test_a_dataset_of_another_archive_and_a_loss_are_described(
    world: World, dataset: Path, config: Path
) -> None:
    """Nothing was fetched, and what was there before is not known.

    The system was stopped: its account ends with its last slot.
    """
    before = (dataset / "README.md").read_text("utf-8")
    world.ledger.open()
    with world.ledger.transaction() as db:
        db.execute("UPDATE blocks SET source = 'backfill mapped a.csv'")
    world.ledger.close()
    (world.folder / ".bikecollect").write_bytes(
        marker.text_of("city") + marker.mark(NOON) + b"stopped\n"
    )

    (world.folder / "vehicles").mkdir()
    (world.folder / "vehicles/ledger.sqlite3").touch()
    people = ("--author", "Jane Doe", "--author", "Lovelace, Ada")
    printed = publish(config, *people, "-o", dataset.parent / "again")

    assert '"Jane Doe" is cited as a group; a person: --author "Last, First"' in printed
    assert "Lovelace" not in printed
    assert "data from before 2026-11-22 12:00 (+08:00) were lost" in printed
    text = " ".join((dataset.parent / "again/README.md").read_text("utf-8").split())
    assert "took all over from another archive (see below)" in text
    assert "fetched the publisher's feed" not in text
    assert "fetched the publisher's feed" in before
    assert "Data from before 2026-11-22 12:00 (+08:00) were lost" in text
    assert "were lost" not in before
    assert " 5 of 294 expected slots" in text
    assert "its last slot is that of 2026-11-23 12:30 (+08:00), and" in text
    assert "no longer collected" not in before
    assert "Rows of single vehicles, which were collected too." in text
    assert "single vehicles" not in before


def test_zenodo_gets_its_metadata(dataset: Path) -> None:
    """The keys of its deposit form."""
    metadata = json.loads((dataset / ".zenodo.json").read_text("utf-8"))

    assert metadata["upload_type"] == "dataset"
    assert metadata["creators"] == [
        {"name": "Lovelace, Ada", "orcid": "0000-0002-1825-0097"}
    ]
    assert metadata["doi"] == "10.5281/zenodo.123"
    assert metadata["license"] == "cc-by-4.0"
    assert "Source: [Port] of &lt;X&gt;." in metadata["notes"]
    assert metadata["title"] == (
        'Station availability of City: "Bikes" & Co, 2026-11-22 to 2026-11-23'
    )


def test_a_range_without_any_station_is_no_dataset(
    world: World, dataset: Path, config: Path, folder: Path
) -> None:
    """As of a system with vehicles only, whose rows are not published."""
    world.clock.now += 2 * DAY
    world.fetch({"0002": 4})
    span = ("--since", "2026-11-24", "--until", "2026-11-24")

    process = bikecollect("--config", config, "publish", *span, "-o", folder / "none")

    assert process.returncode == 64
    assert "no station of city was seen in that range" in process.stderr
    assert not list(folder.glob("*none*"))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "already exists (use --force to overwrite)"),
        (["--since", "2019-01-01", "--until", "2019-01-02"], "has no closed day"),
        (["--since", "2031-01-01"], "is not before"),
        (["--doi", "zenodo.123"], "is not a DOI such as 10.5281/zenodo.1234567"),
        (["--author", "A, B 0000-0002-1825-0098"], "is not an ORCID: its last char"),
    ],
)
def test_a_dataset_that_cannot_be_published_is_an_error(
    dataset: Path, config: Path, arguments: list[str], problem: str
) -> None:
    """An existing dataset is unchanged."""
    before = (dataset / "SHA256SUMS").read_bytes()

    process = bikecollect(
        *("--config", config, "publish", "--until", "2026-11-23"),
        *(*arguments, "-o", dataset),
    )

    assert process.returncode == 64
    assert problem in process.stderr
    assert (dataset / "SHA256SUMS").read_bytes() == before
    assert not list(dataset.parent.glob(".dataset*"))


@pytest.mark.parametrize("force", [False, True])
def test_what_is_put_into_place_meanwhile_is_not_replaced(
    tmp_path: Path, *, force: bool
) -> None:
    """Another call may have written a dataset there, or a person files."""
    folder = tmp_path / "set"
    names = {"notes.txt"} if force else {"datapackage.json", "SHA256SUMS"}

    def publish_beside_another() -> None:
        with placed_folder(folder, force=force) as aside:
            (aside / "SHA256SUMS").touch()
            folder.mkdir()
            for name in names:
                (folder / name).touch()

    with pytest.raises(UsageError, match="not of a" if force else "already exists"):
        publish_beside_another()

    assert {path.name for path in folder.iterdir()} == names
    assert [*tmp_path.iterdir()] == [folder]


def test_editions_of_one_day_have_different_versions(
    dataset: Path, config: Path, folder: Path
) -> None:
    """Only if their tables differ; each document of one has the same version."""
    same, shorter = folder / "same", folder / "shorter"
    publish(config, *CITED, "-o", same)
    publish(config, *CITED, "--since", "2026-11-23", "-o", shorter)

    (version,), (again,), (other,) = map(_versions, (dataset, same, shorter))

    mark, same_mark, other_mark = (v.split("+")[1] for v in (version, again, other))
    assert mark == same_mark != other_mark


def _versions(place: Path) -> set[str]:
    documents = (place / "datapackage.json", place / ".zenodo.json")
    found = {json.loads(path.read_text("utf-8"))["version"] for path in documents}
    citation = (place / "CITATION.cff").read_text("utf-8")
    return found | set(re.findall(r'^version: "(.*)"$', citation, re.MULTILINE))


def test_force_replaces_a_dataset_and_nothing_else(
    dataset: Path, config: Path, folder: Path
) -> None:
    """A folder with other files is never removed."""
    publish(config, "--force", "--since", "2026-11-23", "-o", dataset)
    assert "2026-11-22" not in (dataset / "certificates.jsonl").read_text("utf-8")
    other = folder / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("x", encoding="utf-8")

    process = bikecollect(
        *("--config", config, "publish", "--until", "2026-11-23"),
        *("--force", "-o", other),
    )

    assert process.returncode == 64
    assert "has files that are not of a dataset" in process.stderr
    assert [path.name for path in other.iterdir()] == ["chapter.txt"]


def test_what_a_killed_call_left_is_tidied(dataset: Path, config: Path) -> None:
    """It was killed between its two renames: the earlier dataset is put back."""
    half_written = dataset.with_name(".dataset.0123abcd.part")
    (half_written / "data").mkdir(parents=True)
    dataset.rename(dataset.with_name(".dataset.0123abcd.old"))
    process = bikecollect("--config", config, "publish", "-o", dataset)

    assert process.returncode == 64
    assert "already exists (use --force" in process.stderr
    assert findings(dataset) == []
    assert not list(dataset.parent.glob(".dataset.*"))


def test_folders_of_a_running_call_are_left(dataset: Path, config: Path) -> None:
    """They are locked."""
    running = dataset.with_name(".dataset.0123abcd.part")
    (running / "data").mkdir(parents=True)
    with flock.open_folder(running) as fd:
        assert fd is not None
        assert flock.try_lock(fd)
        publish(config, "--force", "-o", dataset)

    assert running.is_dir()


def test_a_damaged_day_is_not_published(
    dataset: Path, config: Path, folder: Path
) -> None:
    """A dataset of other days is still possible."""
    path = folder / "city/station_status/2026-11-22.csv"
    data = path.read_bytes()
    path.write_bytes(data.replace(b",7,", b",8,", 1))

    process = bikecollect(
        *("--config", config, "publish", "--until", "2026-11-23"),
        *("-o", folder / "new"),
    )

    assert process.returncode == 74
    assert "2026-11-22" in process.stderr
    assert "bikecollect" in process.stderr
    assert not (folder / "new").exists()
    publish(config, "--since", "2026-11-23", "-o", folder / "new")
    assert findings(folder / "new") == []
