"""The files in docker/ fit the program; the image itself needs an engine to build."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from bikecollect.cli import cli
from bikecollect.setup.scheduler import jobs

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
CRONTAB = (ROOT / "docker/crontab").read_text(encoding="utf-8")
HOW_TO = (ROOT / "docs/how-to/install.md").read_text(encoding="utf-8")


def parsed(arguments: list[str]) -> str:
    """Return the command that *arguments* call; raises if click rejects them."""
    with click.Context(cli) as context:
        name, command, rest = cli.resolve_command(context, arguments)
    assert command is not None
    command.make_context(name, rest)
    return str(name)


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, with lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(n, rest) for n, _, rest in (line.partition(" ") for line in lines) if n]


def cron_jobs() -> list[list[str]]:
    """Return the fields of each job in the crontab of the container."""
    lines = (line for line in CRONTAB.splitlines() if re.match(r"[*\d]", line))
    return [line.split(None, 6) for line in lines]


def test_its_cron_jobs_are_those_of_schedule_install() -> None:
    """The same commands as on a machine with mails, as the user that the image has."""
    calls = [shlex.split(fields[6]) for fields in cron_jobs()]

    assert [call[0] for call in calls] == ["bikecollect"] * 3
    assert [parsed(call[1:]) for call in calls] == ["fetch", "compact", "status"]
    assert calls[0][1:] == list(jobs.FETCH.words)
    assert calls[1][1:] == list(jobs.COMPACT.words)
    assert calls[2][1:] == [*jobs.ALERT.words, "--mail"]
    assert {fields[5] for fields in cron_jobs()} == {"bikecollect"}
    assert "useradd --uid 991 --create-home --user-group bikecollect" in DOCKERFILE


def test_cron_and_the_image_have_the_same_environment() -> None:
    """Cron passes nothing on: its lines name the settings and the state again."""
    (env,) = (rest for name, rest in instructions() if name == "ENV")

    assert set(env.split()) <= set(CRONTAB.splitlines())


def test_what_the_image_copies_is_there() -> None:
    """Each file that an instruction names is in the source folder."""
    named = re.findall(
        r"\b(?:constraints|docker)/[\w.]+", " ".join(map(" ".join, instructions()))
    )

    assert named == ["constraints/archive.txt", "docker/crontab"]
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_check_of_its_health_is_a_command() -> None:
    """It runs as the user of the data, and exits with 1 if anything is wrong."""
    (check,) = (rest for name, rest in instructions() if name == "HEALTHCHECK")
    words = json.loads(check.partition("CMD ")[2])

    assert words[0] == "setpriv"
    assert words[words.index("bikecollect") - 1] == "--init-groups"
    assert parsed(words[words.index("bikecollect") + 1 :]) == "status"


@pytest.mark.parametrize("file", [".dockerignore", ".gitignore"])
def test_the_settings_of_the_container_are_in_no_image_or_commit(file: str) -> None:
    """They may contain a password; `COPY . .` takes all that is not ignored."""
    ignored = (ROOT / file).read_text(encoding="utf-8").splitlines()

    assert "docker/config" in [line.rstrip("/") for line in ignored]


def test_the_dockerfile_keeps_the_rules_of_hadolint() -> None:
    """A tag, a shell that fails in pipes, no lists or caches, absolute folders."""
    lines = instructions()
    runs = [rest for name, rest in lines if name == "RUN"]

    assert lines[0][0] == "FROM"
    assert re.fullmatch(r"[\w/]+:(?!latest)[\w.-]+", lines[0][1])
    assert ("SHELL", '["/bin/bash", "-o", "pipefail", "-c"]') in lines
    assert [rest for name, rest in lines if name == "WORKDIR" and rest[0] != "/"] == []
    assert "--no-install-recommends" in runs[0]
    assert "rm -rf /var/lib/apt/lists/*" in runs[0]
    assert [
        run for run in runs if "pip install" in run and "--no-cache-dir" not in run
    ] == []
    assert json.loads(dict(lines)["CMD"])[:2] == ["cron", "-f"]


def test_compose_builds_this_dockerfile_and_keeps_the_data() -> None:
    """The volumes are those that the image has; the settings are read only."""
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["bikecollect"]

    build = service["build"]
    assert (ROOT / "docker" / build["context"] / build["dockerfile"]).is_file()
    targets = {volume.split(":")[1] for volume in service["volumes"]}
    assert targets == {"/config", "/data", "/state"}
    assert "./config:/config:ro" in service["volumes"]
    assert set(compose["volumes"]) == {"data", "state"}
    assert service["init"] is True


def test_the_how_to_calls_what_compose_has() -> None:
    """Its commands name the compose file, the service and the user."""
    lines = [line for line in HOW_TO.splitlines() if line.startswith("docker compose")]

    assert len(lines) == 2
    assert all(" -f docker/compose.yaml " in line for line in lines)
    call = lines[1].partition(" bikecollect bikecollect bikecollect ")[2]
    assert parsed(shlex.split(call)) == "status"
