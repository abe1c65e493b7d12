"""The rules of the code base: layers, sizes of files, and what the README says of the tree."""

import ast
import re
import subprocess

import pytest

PACKAGE = "projects/df2_landmarks/df2_landmarks"

# layer -> the layers that it may import, besides itself. Everything may import taxonomy.
ALLOWED = {
    "taxonomy": set(),
    "synthetic": set(),
    "data": set(),
    "modeling": set(),
    "evaluation": set(),
    "visualization": set(),
    "config": set(),
    "engine": {"data", "modeling", "evaluation", "visualization", "config"},
    "converters": set(),
}
WITHOUT_TORCH = ("taxonomy", "synthetic", "converters")
HEAVY = ("torch", "torchvision", "detectron2", "fvcore")
EVALUATOR = "landmark_evaluator.py"


def tracked(root, pattern):
    """Files of the repository that are committed or will be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return [root / name for name in listed if (root / name).is_file()]


def imports(path):
    """Names of the modules that a file imports, anywhere in it but for type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def files_of(root, layer):
    if layer == "converters":
        return sorted((root / "converters").rglob("*.py"))
    if layer == "config":
        return [root / PACKAGE / "config.py"]
    return sorted((root / PACKAGE / layer).rglob("*.py"))


@pytest.mark.parametrize("layer", ALLOWED)
def test_layers_import_only_what_lies_below(root, layer):
    files = files_of(root, layer)
    assert files
    allowed = ALLOWED[layer] | {layer, "taxonomy"}
    for path in files:
        for module in imports(path):
            parts = module.split(".")
            if parts[0] == "df2_landmarks":
                assert len(parts) > 1, f"{path}: import the module, not the package"
                assert parts[1] in allowed, f"{path} imports {module}"
            if parts[0] == "converters":
                assert layer == "converters", f"{path} imports {module}"


@pytest.mark.parametrize("layer", WITHOUT_TORCH)
def test_layers_without_torch(root, layer):
    for path in files_of(root, layer):
        for module in imports(path):
            assert module.split(".")[0] not in HEAVY, f"{path} imports {module}"


def test_of_the_evaluation_only_the_evaluator_imports_detectron2(root):
    for path in files_of(root, "evaluation"):
        heavy = [module for module in imports(path) if module.split(".")[0] in HEAVY]
        assert bool(heavy) == (path.name == EVALUATOR), f"{path} imports {heavy}"


def test_every_folder_of_the_package_is_a_known_layer(root):
    folders = {p.name for p in (root / PACKAGE).iterdir() if p.is_dir() and p.name[0] != "_"}
    assert folders == set(ALLOWED) - {"converters", "config"}


def test_importing_the_package_imports_nothing_else(root):
    assert list(imports(root / PACKAGE / "__init__.py")) == []


def test_no_file_is_over_300_lines(root):
    files = tracked(root, "*.py")
    assert len(files) > 50
    for path in files:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path


def test_the_numbers_of_the_taxonomy_are_written_nowhere_else(root):
    for path in tracked(root, "*.py"):
        relative = path.relative_to(root)
        if relative.parts[0] == "tests" or "taxonomy" in relative.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in (294, 882):
                pytest.fail(f"{relative}:{node.lineno} writes {node.value}")


def test_the_readme_lists_every_folder_of_the_tree_and_no_other(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    tree = re.search(r"## The tree\n+```\n(.*?)```", text, re.DOTALL).group(1)
    listed = {line.split()[0].rstrip("/") for line in tree.splitlines() if line.strip()}
    missing = {name for name in listed if not (root / name).exists()}
    assert not missing
    folders = {
        str(path.parent.relative_to(root))
        for path in tracked(root, "*")
        if path.suffix in (".py", ".yaml") and path.parent != root
    }
    folders = {f for f in folders if not f.startswith("tests/")}
    assert folders <= listed


def test_links_of_the_readmes_lead_somewhere(root):
    for path in tracked(root, "*.md"):
        for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            file, _, anchor = target.partition("#")
            assert (path.parent / file).exists(), f"{path}: {target}"
            assert not anchor or anchor in anchors(path.parent / file), f"{path}: {target}"


def anchors(page):
    """What a link can name after the #: the headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
