"""The repository is in order: sizes, pages, examples."""

import ast
import configparser
import re
import shlex
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement

from bikecollect.alerts.next_steps import AFTERWARDS, NEXT_STEPS
from bikecollect.cli import COMMANDS, cli
from bikecollect.cli.examples import EXAMPLES
from bikecollect.core.causes import Cause
from bikecollect.core.errors import ExitCode
from bikecollect.setup import loader
from bikecollect.setup.scheduler.jobs import JOBS, REPORT

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "bikecollect").rglob("*.py"))
PACKAGES = sorted({path.parent for path in MODULES} - {ROOT / "bikecollect"})
TOP_FILES = {
    ".dockerignore",
    ".gitignore",
    ".pre-commit-config.yaml",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "MANIFEST.in",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "crontab.example",
    "mkdocs.yml",
    "pyproject.toml",
    "setup.cfg",
}
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_no_module_is_longer_than_350_lines(path: Path) -> None:
    """A longer module should be split."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda p: p.name)
def test_no_package_has_more_than_twelve_modules(folder: Path) -> None:
    """Except the package with a module per command."""
    modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    commands = {name.replace("-", "_") for name in COMMANDS}

    assert len(modules) <= 12 or set(modules) == commands


def test_nothing_is_beside_the_packages() -> None:
    """The top folder has only the packages of the pipeline."""
    files = [path.name for path in (ROOT / "bikecollect").iterdir() if path.is_file()]

    assert sorted(files) == ["__init__.py", "__main__.py", "py.typed"]


def test_the_contracts_of_imports_have_no_exceptions() -> None:
    """Layers name every package, and each dialect is pure, apart from HTTP."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    contracts = {n: setup[n] for n in setup.sections() if n.startswith("importlinter")}
    layers = contracts["importlinter:contract:layers"]
    pure = contracts["importlinter:contract:pure"]["source_modules"].split()
    feeds = {path.stem for path in (ROOT / "bikecollect/feeds").glob("[!_]*")}

    assert not [
        key for contract in contracts.values() for key in contract if "ignore" in key
    ]
    assert layers["exhaustive"] == "true"
    assert {f"bikecollect.feeds.{name}" for name in feeds - {"http"}} <= set(pure)


def test_class_names_are_unique() -> None:
    """A name has one meaning in the whole package."""
    text = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    names = Counter(re.findall(r"^ *class (\w+)", text, re.MULTILINE))

    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_place_in_the_docs(name: str) -> None:
    """Each command is described in its help and on a page."""
    page = (ROOT / f"docs/reference/commands/{name}.md").read_text(encoding="utf-8")
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.help
    assert command.get_short_help_str(200) == COMMANDS[name]
    assert f"# bikecollect {name}\n" in page


def test_no_summary_of_a_command_is_cut_at_80_columns() -> None:
    """Neither in the main help nor in the help of a group of commands."""
    commands = [cli.get_command(click.Context(cli), name) for name in COMMANDS]
    groups = [cli, *(item for item in commands if isinstance(item, click.Group))]
    pages = [
        # click leaves two columns of a terminal of 80 free
        group.get_help(click.Context(group, info_name="x", terminal_width=78))
        for group in groups
    ]

    assert len(groups) > 3
    assert not [page for page in pages if re.search(r"\w\.\.\.$", page, re.MULTILINE)]


def resolved(call: str) -> str:
    """Return the command of *call*, a line of a shell; raises UsageError.

    Arguments and files may be missing.
    """
    program, *arguments = shlex.split(call, comments=True)
    assert program == "bikecollect"
    with cli.make_context("bikecollect", arguments) as context:
        return _resolved(context)


def _resolved(context: click.Context) -> str:
    group, rest = context.command, [*context._protected_args, *context.args]
    if not isinstance(group, click.Group) or not rest:
        return ""
    name, command, rest = group.resolve_command(context, rest)
    assert command is not None
    try:
        _resolved(command.make_context(name, rest, parent=context))
    except click.MissingParameter:
        pass
    except click.BadParameter as error:
        if "does not exist" not in error.message:
            raise
    return str(name)


@pytest.mark.parametrize(
    ("name", "example"),
    [(name, call) for name, pair in EXAMPLES.items() for call in pair],
)
def test_every_example_of_the_help_is_a_real_call(name: str, example: str) -> None:
    """It calls the command of that help, and its options parse."""
    assert resolved(example) == name


def documented_calls() -> list[str]:
    """Return the calls of bikecollect in the README and on all pages of docs."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    code = re.findall(r"```(?:sh|bash|cron)\n(.*?)```", text, re.DOTALL)
    lines = "\n".join(code).replace("\\\n", " ")
    call = r'(?:^|/bin/)(bikecollect (?:[^"\n#|&<>]|"[^"]*")+)'
    inline = re.findall(r"`(bikecollect (?!help )[a-z][^`<|]*)", text)
    calls = [*re.findall(call, lines, re.MULTILINE), *inline]
    return sorted({" ".join(found.split()) for found in calls})


@pytest.mark.parametrize("call", documented_calls())
def test_every_call_in_the_docs_is_a_real_one(call: str) -> None:
    """Its command and its options exist."""
    assert resolved(call) in COMMANDS


def recommended_calls() -> list[str]:
    """Return the calls of bikecollect that mails about incidents recommend."""
    names = {"system": "taipei", "slot": "2026-11-22T10:05+08:00", "day": "2026-11-22"}
    folders = {"folder": "/srv/taipei", "data_dir": "/srv", "mirror": "COPY"}
    steps = [*NEXT_STEPS.values(), *AFTERWARDS.values()]
    texts = {step.format(**names, **folders) for each in steps for step in each}
    return sorted(text for text in texts if text.startswith("bikecollect "))


@pytest.mark.parametrize("call", recommended_calls())
def test_every_call_in_a_mail_is_a_real_one(call: str) -> None:
    """It is copied word by word."""
    assert resolved(call) in COMMANDS


def texts(path: Path) -> Iterator[str]:
    """Yield the texts that the module or template *path* may print.

    In place of each value is an ``X``. Docstrings are not printed.
    """
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield re.sub(r"\{\{.*?\}\}", "X", source)
        return
    nodes = list(ast.walk(ast.parse(source)))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    firsts = [node.body[0] for node in nodes if isinstance(node, kinds) and node.body]
    skipped = {id(first.value) for first in firsts if isinstance(first, ast.Expr)}
    joined = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    skipped |= {id(part) for text in joined for part in text.values}
    yield from (
        "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in t.values)
        for t in joined
    )
    constants = [node for node in nodes if isinstance(node, ast.Constant)]
    yield from (str(node.value) for node in constants if id(node) not in skipped)


def printed_calls() -> list[str]:
    """Return the calls of bikecollect in all texts of the program.

    They are in backticks or end at a sign; a word that is no command is prose, unless
    what precedes it says that it is to be run.
    """
    folder = ROOT / "bikecollect"
    files = [*MODULES, *folder.rglob("*.jinja")]
    text = "\n".join(line for path in files for line in texts(path))
    text = re.sub(r"\{\w*\}|%s", "X", text).replace(" --help", "")
    text = text.replace("schedule X X", "schedule install").replace(" help", "")
    call = r"(?<![\w./-])bikecollect ([a-z][\w-]*)((?: [^`;,:()#|<>\n&\"]*)?)"
    calls = [
        f"bikecollect {found[1]}{found[2]}".strip().rstrip(".")
        for found in re.finditer(call, text)
        if found[1] in COMMANDS
        or re.search(r"(?:run: |see: |`)$", text[: found.start()])
    ]
    named = re.findall(r"`([a-z-]+)((?: [^`\n]*)?)`", text)
    inline = [f"bikecollect {name}{rest}" for name, rest in named if name in COMMANDS]
    return sorted({*calls, *inline})


@pytest.mark.parametrize("call", printed_calls())
def test_every_call_in_a_message_is_a_real_one(call: str) -> None:
    """A remedy that does not exist helps nobody; its values may be missing."""
    with suppress(click.BadOptionUsage):  # an option without its value
        assert resolved(call) in COMMANDS


def test_every_command_has_two_examples() -> None:
    """Readers copy one and change it."""
    assert list(EXAMPLES) == list(COMMANDS)
    assert {len(pair) for pair in EXAMPLES.values()} == {2}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["backfil"], 'unknown command "backfil", did you mean "backfill"?'),
        (["statsu", "--alert"], 'did you mean "status"?'),
        (["zzz"], 'unknown command "zzz"; see: bikecollect help'),
    ],
)
def test_a_mistyped_command_gets_a_suggestion(words: list[str], text: str) -> None:
    """The most similar command."""
    with pytest.raises(click.UsageError) as caught:
        cli.main(words, "bikecollect", standalone_mode=False)

    assert text in caught.value.message


@pytest.mark.parametrize(
    ("words", "begin"),
    [
        (["help"], "Usage: bikecollect [OPTIONS] COMMAND"),
        (["help", "fetch"], "Usage: bikecollect fetch"),
        (["help", "runs", "show"], "Usage: bikecollect runs show"),
        (["--config", "my.toml", "help"], "Usage: bikecollect [OPTIONS] COMMAND"),
        (["--config", "my.toml", "help", "fetch"], "Usage: bikecollect fetch"),
        (["help", "--help"], "Usage: bikecollect [OPTIONS] COMMAND"),
    ],
)
def test_help_takes_the_name_of_a_command(
    words: list[str], begin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Like git: `bikecollect help COMMAND`, also after options."""
    cli.main(words, "bikecollect", standalone_mode=False)

    assert capsys.readouterr().out.startswith(begin)


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_exit_code_has_its_line(code: ExitCode) -> None:
    """On the page of exit codes."""
    page = (ROOT / "docs/reference/exit-codes.md").read_text(encoding="utf-8")

    assert f"| {int(code)} | {code.meaning} |" in page


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_of_a_gap_has_its_remedy(cause: Cause) -> None:
    """In the table of the page on gaps."""
    page = (ROOT / "docs/how-to/find-gaps.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\|([^|]*)\|", page, re.MULTILINE)

    assert re.search(f"`{cause.value}[`:]", " ".join(first_cells))


def test_the_crontab_example_calls_real_commands() -> None:
    """Each line has five fields and a command that parses."""
    text = (ROOT / "crontab.example").read_text(encoding="utf-8")
    lines = [entry for entry in text.splitlines() if re.match(r"[*\d]", entry)]
    names = [_called(line) for line in lines]

    assert names == ["fetch", "compact"]


def _called(line: str) -> str:
    *fields, command = line.split(None, 5)
    program, *arguments = shlex.split(command)
    assert len(fields) == 5
    assert program == "$HOME/.local/bin/bikecollect"
    with click.Context(cli) as context:
        name, resolved, _ = cli.resolve_command(context, arguments)
    assert resolved == cli.get_command(context, str(name))
    return str(name)


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("core", ()),
        ("archive", ("archive",)),
        ("app", ("archive", "app")),
        *((name, ("archive", name)) for name in ("cloud", "excel", "spark")),
    ],
)
def test_the_constraints_match_the_requirements(name: str, extras: list[str]) -> None:
    """Each requirement has a version with hashes, within its bounds, and no URL."""
    text = (ROOT / f"constraints/{name}.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"\n([a-z0-9-]+)==(\S+).*\\\n    --hash=sha256", text))
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = [setup["options"]["install_requires"]]
    listed += [setup["options.extras_require"][extra] for extra in extras]
    needs = [Requirement(line) for line in "".join(listed).split("\n") if line]

    wrong = [
        str(need)
        for need in needs
        if need.name != "bikecollect"
        and not need.specifier.contains(pinned.get(need.name, "0"))
    ]

    assert wrong == []
    assert "//" not in text


def test_every_defence_has_its_test() -> None:
    """SECURITY.md names only existing tests."""
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)

    absent = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).exists()
        or f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]

    assert len(named) > 20
    assert absent == []


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
def test_the_example_settings_are_real(text: str) -> None:
    """Every key in the README's examples is a setting."""
    assert loader.parse(tomllib.loads(text)).systems


def test_remarks_to_the_linter_are_few() -> None:
    """Exceptions for whole modules are in pyproject.toml, with the reason."""
    paths = [*MODULES, *(ROOT / "tests").rglob("*.py"), *ROOT.glob("benchmarks/*.py")]
    mark = "# no" + "qa"
    counts = [path.read_text(encoding="utf-8").count(mark) for path in paths]

    assert sum(counts) < 60


GUIDE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(\w+/[\w/.]+)`", GUIDE))))
def test_every_path_of_the_guide_exists(name: str) -> None:
    """ARCHITECTURE.md names only existing files."""
    inside = ROOT / "bikecollect" / name

    assert (ROOT / name).exists() or inside.exists() or name.startswith("payloads/")


@pytest.mark.parametrize(
    ("path", "name"), re.findall(r"`(tests/[\w/]+\.py)`, `(test_\w+)`", GUIDE)
)
def test_every_test_of_the_guide_exists(path: str, name: str) -> None:
    """ARCHITECTURE.md names only existing tests."""
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "names"),
    [
        *re.findall(r"`(bikecollect/[\w/]+\.py)`, ((?:`\w+[.\w]*`,? ?)+)", GUIDE),
        *(
            (path, names)
            for names, path in re.findall(
                r"((?:`\w+`(?:, | or | and )?)+) (?:in|of) `(bikecollect/[\w/]+\.py)`",
                GUIDE,
            )
        ),
    ],
)
def test_every_name_of_the_guide_exists(path: str, names: str) -> None:
    """ARCHITECTURE.md names only existing functions and tables."""
    text = (ROOT / path).read_text(encoding="utf-8")
    expected = [name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", names)]

    known = re.compile(rf"^ *(?:def |class )?({'|'.join(expected)})\b", re.MULTILINE)
    assert set(expected) - set(known.findall(text)) == set()


LINK = re.compile(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)")


def linked(page: Path) -> set[Path]:
    """Return the pages that *page* links to."""
    names = LINK.findall(page.read_text(encoding="utf-8"))
    links = (name for name in names if "://" not in name)
    return {(page.parent / name).resolve() for name in links}


def test_every_page_is_two_clicks_from_the_readme() -> None:
    """docs/README.md links to all pages."""
    first = linked(ROOT / "README.md")
    second = set().union(*map(linked, first))

    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")}
    assert sorted(map(str, pages - first - second)) == []


@pytest.mark.parametrize(
    "page",
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks/README.md"],
    ids=lambda page: page.name,
)
def test_every_link_leads_to_a_page(page: Path) -> None:
    """Links to renamed pages are found."""
    assert [str(path) for path in linked(page) if not path.exists()] == []


def headings(page: Path) -> set[str]:
    """Return the anchors of the headings of *page*, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


def test_every_link_to_a_heading_finds_it() -> None:
    """A heading that gets other words gets another anchor."""
    link = re.compile(r"\]\(([^)#\s:]*)#([^)\s]+)\)")
    links = [
        (page, (page.parent / name) if name else page, anchor)
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for name, anchor in link.findall(page.read_text(encoding="utf-8"))
    ]

    assert len(links) > 5
    assert [link for link in links if link[2] not in headings(link[1])] == []


def test_each_decision_has_its_own_number() -> None:
    """Two decisions written at the same time must not share one."""
    names = [path.name[:4] for path in (ROOT / "docs/decisions").glob("*.md")]

    assert sorted(names) == sorted(set(names))


def test_the_crontab_of_the_container_calls_real_commands() -> None:
    """It has the jobs that `schedule install` installs, each with its user."""
    lines = (ROOT / "docker/crontab").read_text(encoding="utf-8").splitlines()
    jobs = [line.split()[5:] for line in lines if line[:1] in {"*", "1", "2"}]
    usual = [job for job in JOBS if job is not REPORT]

    assert [words[:2] for words in jobs] == [["bikecollect"] * 2] * 3
    assert [
        tuple(words[2:])[: len(job.words)]
        for words, job in zip(jobs, usual, strict=True)
    ] == [job.words for job in usual]


def test_the_top_folder_has_only_files_that_a_user_or_a_tool_reads() -> None:
    """A note of whoever worked here is not committed."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files are the project's is unknown")
    paths = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()

    assert {path for path in paths if "/" not in path} == TOP_FILES
