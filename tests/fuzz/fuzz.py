"""Fuzz the readers with atheris, guided by coverage, and live random histories.

Run: make fuzz (or: python tests/fuzz/fuzz.py SECONDS [TARGET]...). Each target has a
process of its own, bounded in time and memory. What it has learned lies in
build/fuzz/TARGET, and so does an input that breaks a promise: put it into
tests/fuzz/found/TARGET, where the tests take it up. The target `histories` needs no
atheris: see histories.py.
"""

import hashlib
import subprocess
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build/fuzz"
SLOWEST = 10
"""Seconds that one input may take."""
MEMORY = 1_024
"""Mebibytes that the process may take, the interpreter and DuckDB among them."""
MAX_BYTES = 100_000
HISTORIES = "histories"
"""The target that is a program of its own."""


def main(seconds: int, names: list[str]) -> int:
    """Fuzz the targets called *names*, or all; return the number of failures."""
    from targets import TARGETS  # the child imports it instrumented

    broken = 0
    for name in names or [*TARGETS, HISTORIES]:
        command = [sys.executable, __file__, "--child", name, str(seconds)]
        if name == HISTORIES:
            command[1:] = [str(Path(__file__).with_name("histories.py")), str(seconds)]
        process = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        lines = process.stdout.decode("utf-8", "replace").splitlines()
        runs = next((line for line in reversed(lines) if "DONE" in line), "")
        word = "BROKEN" if process.returncode else "clean"
        sys.stdout.write(f"{name:10} {word:6} {runs}\n")
        if process.returncode:
            broken += 1
            sys.stdout.writelines(f"    {line[:300]}\n" for line in lines[-40:])
        sys.stdout.flush()
    return broken


def child(name: str, seconds: int) -> None:
    """Fuzz the target called *name*, until the time is over or it breaks."""
    atheris = import_module("atheris")  # of the extra fuzz: it has wheels for few

    with atheris.instrument_imports(include=["bikecollect", "email", "zipfile"]):
        from targets import SEEDS, TARGETS, TOKENS  # instrumented

    corpus = BUILD / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    paths = (Path(__file__).parent / "found" / name).glob("*")
    for seed in (*SEEDS[name], *(path.read_bytes() for path in paths)):
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = BUILD / name / "words"
    words.write_text("".join(_word(token) for token in TOKENS if 0 < len(token) < 100))
    options = [
        *(f"-max_total_time={seconds}", f"-timeout={SLOWEST}"),
        *(f"-rss_limit_mb={MEMORY}", f"-max_len={MAX_BYTES}"),
        *(
            f"-dict={words}",
            f"-artifact_prefix={BUILD / name}/",
            "-print_final_stats=0",
        ),
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


def _word(token: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in token) + '"\n'


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(min(main(int(sys.argv[1]), sys.argv[2:]), 1))
