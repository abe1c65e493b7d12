"""What README and docs say can be done as written: commands, options, links, the tree, pins."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from tests.project.test_structure import tracked
from tests.support import ROOT, run_python

PAGES = [path for path in tracked("*.md") if path.name != "CHANGELOG.md"]
CONFIG = Path("projects/df2_landmarks/df2_landmarks/config.py")
OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]+")


def text_of(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def commands(page: Path) -> list[str]:
    """Command lines of a page: those in fenced blocks, and those that are code in a sentence."""
    text = text_of(page)
    blocks = re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    lines = [re.sub(r"^([A-Z][A-Z0-9_]*=\S* +)*", "", line.strip()) for line in lines]
    started = re.compile(r"(make [a-z]|df2 [a-z]|python -m (converters|df2_)|python \S+\.py)")
    return [" ".join(line.split("#")[0].split()) for line in lines if started.match(line)]


@cache
def help_of(*program: str) -> str:
    done = run_python(*program, "--help")
    assert done.returncode == 0, f"{program}: {done.stderr}"
    return done.stdout


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", text_of(Path("Makefile")), re.MULTILINE))


def check(command: str) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        assert words[1] in targets()
        return
    if words[0] == "df2":
        program = ["-m", "df2_landmarks.cli.main", words[1]]
        if words[1] in ("challenge", "submission") and len(words) > 2:
            program.append(words[2])
    elif words[1] == "-m":
        program = ["-m", words[2]]
    else:
        program = [words[1]]
        assert (ROOT / words[1]).is_file()
    options = set(re.findall(r"--[a-z][a-z-]*", help_of(*program)))
    for option in OPTION.findall(command):
        assert option in options, f"{option} is not an option of {' '.join(program)}"


def test_the_pages_have_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 60


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_and_option_exists(page: Path) -> None:
    for command in commands(page):
        check(command)


def anchors(page: Path) -> set[str]:
    """What a link can name after the #: the headings, as a code host and the site write them."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", [*PAGES, Path("CHANGELOG.md")], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = page.parent / file if file else page
        assert (ROOT / linked).exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(linked), f"{page}: {target}"


def test_the_tree_lists_every_folder_and_no_other() -> None:
    text = text_of(Path("docs/concepts/architecture.md"))
    match = re.search(r"## The tree\n+```\n(.*?)```", text, re.DOTALL)
    assert match
    listed = {line.split()[0] for line in match[1].splitlines() if line.strip()}
    folders = {str(path.parent) for path in [*tracked("*.py"), *tracked("*.yaml")]}
    folders = {f for f in folders if not f.startswith("tests") and f != "."}
    assert listed == folders


def test_ruff_and_mypy_are_pinned_once() -> None:
    hooks = text_of(Path(".pre-commit-config.yaml"))
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", text_of(Path("constraints.txt")), re.MULTILINE))
    for name in ("ruff", "mypy"):
        assert re.search(rf"{name}\S*\n    rev: v{re.escape(pins[name])}\n", hooks), name


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_outside(tmp_path: Path) -> None:
    done = run_python(
        *("-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path), NO_MKDOCS_2_WARNING="1"
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 25
    loaded = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=[\"']?(https?:|//)")
    for page in pages:
        html = re.sub(r"<link[^>]*rel=[\"']?canonical[^>]*>", "", page.read_text(encoding="utf-8"))
        assert not loaded.search(html), page
    for sheet in tmp_path.rglob("*.css"):
        outside = re.search(r"(?:@import|url\()\s*[\"']?(https?:|//)", sheet.read_text("utf-8"))
        assert not outside, sheet
    keys = re.findall(r"^    cfg\.([\w.]+) =", text_of(CONFIG), re.MULTILINE)
    listing = re.sub(r"<[^>]+>", "", (tmp_path / "reference/config.html").read_text("utf-8"))
    assert len(keys) > 15
    assert not [key for key in keys if f"cfg.{key} =" not in listing]
