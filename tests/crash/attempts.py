"""A command meets a kill or an error at its calls, each time on a copy of a site."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from commands import Site
from harness import content, fault_at
from interception import Fault

KILL = "signal=SIGKILL"
OPENING = {"openat", "mkdir"}
WRITING = {"openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "mkdir"}
CODES = {0, 1, 65, 69, 74, 75, 78}
"""Exit codes that a command may end with when its disk fails; 70 is a bug."""


def sample(calls: Sequence[str], what: str, most: int) -> list[tuple[str, str]]:
    """Return at most *most* of *calls*, evenly spaced, each with *what* happens."""
    names = {"error=EMFILE": {"openat"}, "error=EACCES": OPENING | {"rename", "unlink"}}
    names["error=ENOSPC"] = WRITING
    fit = [
        c
        for c in calls
        if c.partition(":")[0] in names.get(what, {c.partition(":")[0]})
    ]
    stride = -(-len(fit) // most) or 1
    return [(call, what) for call in fit[::stride]]


def undocumented(ended: tuple[int, str], case: Fault | None = None) -> list[str]:
    """Return how the exit of a command that met *case* differs from the docs."""
    code, printed = ended
    bad = [f"a traceback: {printed[-300:]}"] if "Traceback" in printed else []
    if case and case.what == KILL:
        return bad
    if code not in CODES:
        bad.append(f"ended with {code}: {printed[-200:]}")
    if code and not printed:
        bad.append(f"ended with {code} and printed nothing")
    return bad


def attempt_all(
    template: Site,
    cases: Iterable[tuple[str, str]],
    attempt: Callable[[Site, Fault], list[str]],
) -> dict[str, list[str]]:
    """Run *attempt* on a copy of *template* for each case; return the violations."""
    named = {f"{call}-{what.partition('=')[2]}": (call, what) for call, what in cases}

    def run(site: Site, name: str) -> list[str]:
        return attempt(site, fault_at(*named[name]))

    return attempt_each(template, named, run)


def attempt_each(
    template: Site, names: Iterable[str], attempt: Callable[[Site, str], list[str]]
) -> dict[str, list[str]]:
    """Run *attempt* on a copy of *template* for each of *names*."""
    violations = {}
    for name in names:
        root = template.root.with_name(f"{template.root.name}-{name}")
        violations[name] = attempt(template.copy(root), name)
        shutil.rmtree(root)
        Path(f"{root}.trace").unlink(missing_ok=True)
    return {name: bad for name, bad in violations.items() if bad}


def attempted(template: Site) -> Path:
    """Return where `heal_all` puts each copy of *template*: files may name the path."""
    return template.root.with_name("attempted")


def heal_all(
    template: Site,
    cases: Sequence[tuple[str, str]],
    heal: Callable[[Site], list[str]],
    *command: object,
    result: Path | None = None,
    **how: Any,
) -> dict[str, list[str]]:
    """Let *command* meet each case on a copy of *template*; return the violations.

    They are those of its exit, and those that *heal* returns of what it leaves, once of
    what is equal. If it ends with 0, there is the file *result*.
    """
    killed = _killed(
        template, [c for c, what in cases if what == KILL], *command, **how
    )
    healed: dict[object, list[str]] = {}
    violations = {}
    for call, what in cases:
        bad = []
        if what == KILL and killed.is_dir():
            site = template.copy(attempted(template), killed / call)
        else:
            site = template.copy(attempted(template))
            case = fault_at(call, what)
            ended = site.fail(*command, fault=case, **how)
            bad = undocumented(ended, case)
            if result and ended[0] == 0 and not result.exists():
                bad.append("ended with 0 without a file")
        left = content(site.root)
        if left not in healed:
            healed[left] = heal(site)
        violations[f"{call} {what}"] = bad + healed[left]
        shutil.rmtree(site.root)
    shutil.rmtree(killed, ignore_errors=True)
    return {name: bad for name, bad in violations.items() if bad}


def _killed(template: Site, calls: Sequence[str], *command: object, **how: Any) -> Path:
    """Return a folder of what kills at *calls* leave: what is there while they wait.

    There is no folder if calls cannot wait.
    """
    killed = template.root.with_name("killed")
    site = template.copy(attempted(template))

    def look(call: str) -> None:
        if call in calls and not (killed / call).exists():
            _copy_at_rest(site.root, killed / call)

    if site.pause(*command, look=look, **how):
        for call in calls:
            look(call)  # those that did not occur this time
    shutil.rmtree(site.root)
    return killed


def _copy_at_rest(folder: Path, target: Path) -> None:
    """Copy *folder* to *target*, again if another thread changes it meanwhile."""
    for _ in range(9):
        with suppress(OSError):
            shutil.copytree(folder, target)
            if content(target) == content(folder):
                return
        shutil.rmtree(target, ignore_errors=True)
    raise AssertionError(f"{folder} does not rest")
