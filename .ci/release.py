"""Make a release in dist/, and try it: sdist, wheel, SBOM, checksums.

Run: make release. The wheel is looked through and installed into empty environments
from the constraints with hashes; what is not as it should be ends with a message.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST, WORK = ROOT / "dist", ROOT / "build/release"
BIN = Path(sys.executable).parent
EXTRAS = ("archive", "app")
"""What the SBOM lists beside the core: all that a user may install."""


def main() -> None:
    """Build, look through, try, list, audit, sum up."""
    for folder in (DIST, WORK, ROOT / "build/lib"):
        shutil.rmtree(folder, ignore_errors=True)
    WORK.mkdir(parents=True)
    wheel = built()
    look_through(wheel)
    try_out(wheel)
    list_components(wheel)
    audit()
    checksums()


def built() -> Path:
    """Build sdist and wheel, dated as the commit; return the wheel."""
    say("building")
    date = run("git", "log", "-1", "--format=%ct").strip()
    os.environ["SOURCE_DATE_EPOCH"] = date
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    (wheel,) = DIST.glob("*.whl")
    return wheel


def look_through(wheel: Path) -> None:
    """End where *wheel* lacks a file of the package, or has another."""
    with zipfile.ZipFile(wheel) as box:
        names = {each for each in box.namelist() if ".dist-info/" not in each}
    listed = run("git", "ls-files", "bikecollect").split()
    if names != set(listed):
        raise SystemExit(f"the wheel and the package differ: {names ^ set(listed)}")
    say(f"{len(names)} files of the package are in {wheel.name}")


def environment(name: str, constraints: str, wheel: Path) -> Path:
    """Return the empty environment *name* with *constraints* and *wheel* installed."""
    place = WORK / name
    run("python3", "-m", "venv", "--without-pip", place)
    pip = (BIN / "pip", "--python", place, "install", "-q", "--no-compile")
    listed = ROOT / f"constraints/{constraints}.txt"
    run(*pip, "--require-hashes", "-r", listed)
    run(*pip, "--no-deps", wheel)
    return place / "bin"


def try_out(wheel: Path) -> None:
    """Let the installed *wheel* say its version, and collect a simulated day."""
    place = environment("core", "core", wheel)
    say(run(place / "bikecollect", "--version").strip())
    text = run(place / "bikecollect", "demo", "--folder", WORK / "demo", cwd=WORK)
    say(f"the demo ran: {text.strip().splitlines()[0]}")


def list_components(wheel: Path) -> None:
    """Write the SBOM of an installation with all extras (CycloneDX)."""
    place = environment("app", "app", wheel)
    root = WORK / "pyproject.toml"
    root.write_text(metadata(wheel), encoding="utf-8")
    bom = DIST / f"{wheel.name.rpartition('-py3')[0]}.cdx.json"
    options = ("--pyproject", root, "--output-reproducible", "-o", bom)
    run(BIN / "cyclonedx-py", "environment", *options, place / "python")
    found = json.loads(bom.read_text(encoding="utf-8"))
    say(f"{bom.name} lists {len(found['components'])} components")


def metadata(wheel: Path) -> str:
    """Return the metadata of *wheel* in the form from which an SBOM takes its root."""
    with zipfile.ZipFile(wheel) as box:
        (name,) = (each for each in box.namelist() if each.endswith("/METADATA"))
        fields = HeaderParser().parsestr(box.read(name).decode("utf-8"))
    needed = []
    for each in fields.get_all("Requires-Dist", []):
        package, _, marker = each.partition(";")
        extra = re.search(r"extra == ['\"](\w+)['\"]", marker)
        if not package.startswith("bikecollect") and (
            extra is None or extra[1] in EXTRAS
        ):
            needed.append(package.strip())
    lines = {
        "name": fields["Name"],
        "version": fields["Version"],
        "description": fields["Summary"],
        "license": "Apache-2.0",
        "dependencies": needed,
    }
    return "[project]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in lines.items())


def audit() -> None:
    """Ask for known vulnerabilities; say so where the answer cannot be had."""
    options = ("--require-hashes", "--disable-pip", "--progress-spinner", "off")
    command = (BIN / "pip-audit", *options, "-f", "json")
    done = subprocess.run(
        [*map(str, command), "-r", str(ROOT / "constraints/app.txt")],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        asked = json.loads(done.stdout)["dependencies"]
    except ValueError:
        say("NOT audited: the data of pip-audit cannot be had here")
        return
    bad = [each["name"] for each in asked if each.get("vulns")]
    if bad:
        raise SystemExit(f"known vulnerabilities in {', '.join(bad)}:\n{done.stdout}")
    unknown = [each for each in asked if "skip_reason" in each]
    if len(unknown) < len(asked):
        say(f"audited: {len(asked) - len(unknown)} packages, no known vulnerability")
    if unknown:
        say(f"NOT audited: pip-audit has no data here on {len(unknown)} packages")


def checksums() -> None:
    """Write SHA256SUMS, by which `sha256sum -c` checks all else."""
    lines = [
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n"
        for each in sorted(DIST.iterdir())
    ]
    (DIST / "SHA256SUMS").write_text("".join(lines), encoding="ascii")
    say("".join(lines).rstrip())


def run(*command: object, cwd: Path = ROOT) -> str:
    """Run *command* and return what it printed; end where it fails."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}\nfailed: {command}")
    return done.stdout


def say(text: str) -> None:
    """Print *text* at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
