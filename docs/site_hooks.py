"""Hooks of MkDocs: the navigation, and the pages that lie outside of docs/."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "README.md": "project/README.md",
    "ARCHITECTURE.md": "project/ARCHITECTURE.md",
    "CONTRIBUTING.md": "project/CONTRIBUTING.md",
    "SECURITY.md": "project/SECURITY.md",
    "CHANGELOG.md": "project/CHANGELOG.md",
    "benchmarks/README.md": "project/benchmarks.md",
}
"""Pages of the source folder that the site has too, by their place in it."""
LINK = re.compile(r"(!?)\[([^\]\n]*(?:\n[^\]\n]*)?)\]\(([^)\s]+)\)")
SCHEME = re.compile(r"[a-z]+:|#|//")


def navigation(index: str) -> list[Any]:
    r"""Return the navigation: the sections and links of docs/README.md, *index*.

    >>> navigation("# D\n\n## First\n\n- [Tutorial](tutorial.md): ten minutes")
    [{'Home': 'README.md'}, {'First': [{'Tutorial': 'tutorial.md'}]}]
    """
    nav: list[Any] = [{"Home": "README.md"}]
    for section in index.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        links = [(" ".join(m[1].split()), m[2]) for m in LINK_TEXT.finditer(text)]
        nav.append({title.strip(): [{_title(name): page} for name, page in links]})
    return nav


LINK_TEXT = re.compile(r"\[([^\]]+)\]\(([^)#\s]+\.md)\)")


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Set the navigation, with the pages of the commands and of the project."""
    docs = Path(config.docs_dir)
    nav = navigation((docs / "README.md").read_text(encoding="utf-8"))
    commands = sorted((docs / "reference/commands").glob("*.md"))
    pages = [{p.stem: p.relative_to(docs).as_posix()} for p in commands]
    nav.insert(-1, {"Commands": pages})
    nav.append({"Project": [{_name(path): page} for path, page in OUTSIDE.items()]})
    config.nav = nav
    return config


def _name(path: str) -> str:
    return "Benchmarks" if "/" in path else _title(Path(path).stem.lower())


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside of docs/."""
    for path, page in OUTSIDE.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Let links lead to the pages of the site; those to source files become text."""
    source = next(
        (ROOT / path for path, name in OUTSIDE.items() if name == page.file.src_uri),
        Path(config.docs_dir) / page.file.src_uri,
    )

    def rewritten(link: re.Match[str]) -> str:
        if SCHEME.match(link[3]):
            return link[0]
        target, _, anchor = link[3].partition("#")
        uri = _uri((source.parent / target).resolve(), Path(config.docs_dir))
        if files.get_file_from_path(uri) is None and uri.endswith(".md"):
            return link[0]  # a broken link: MkDocs names it
        if files.get_file_from_path(uri) is None:
            return link[2]
        up = "../" * page.file.src_uri.count("/")
        return f"{link[1]}[{link[2]}]({up}{uri}{'#' * bool(anchor)}{anchor})"

    return LINK.sub(rewritten, markdown)


def _uri(path: Path, docs: Path) -> str:
    """Return the page's place in the site, its path if the site does not have it."""
    if path.is_relative_to(docs):
        return path.relative_to(docs).as_posix()
    inside = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
    return OUTSIDE.get(inside, str(path))
