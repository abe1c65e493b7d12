"""Count the files, lines and imports of each room.

    python benchmarks/code_size.py              # this checkout
    python benchmarks/code_size.py OTHER        # another one, such as an older commit's worktree

*lines* are all lines of the Python files, *code* those without docstrings, comments and blank
lines, *arrows* the other rooms that a room imports.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = Path("projects/df2_landmarks")
NOT_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def code_lines(text: str) -> int:
    """Return the number of lines without docstrings, comments and blank lines."""
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in NOT_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def room_of(path: Path) -> str:
    """Return the room of a file, relative to the checkout."""
    if path.is_relative_to(PROJECT):
        parts = path.relative_to(PROJECT).parts
        return parts[1].removesuffix(".py") if len(parts) > 1 else parts[0]
    return path.parts[0]


def imported_rooms(text: str) -> set[str]:
    """Return the rooms that a file imports."""
    rooms = set()
    for node in ast.walk(ast.parse(text)):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            parts = name.split(".")
            if parts[0] == "df2_landmarks" and len(parts) > 1:
                rooms.add(parts[1])
            elif parts[0] == "converters":
                rooms.add("converters")
    return rooms


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", nargs="?", type=Path, default=ROOT)
    root = parser.parse_args().checkout
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    arrows: dict[str, set[str]] = defaultdict(set)
    for folder in (PROJECT, Path("converters"), Path("tests")):
        for file in sorted((root / folder).rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            room = room_of(file.relative_to(root))
            added = (1, text.count("\n"), code_lines(text))
            counts[room] = [a + b for a, b in zip(counts[room], added, strict=True)]
            arrows[room] |= imported_rooms(text) - {room}
    tests = counts.pop("tests")
    print("| room | files | lines | code | arrows |\n|---|---|---|---|---|")
    for room, numbers in sorted(counts.items()):
        print(f"| {room} | {' | '.join(f'{n:,}' for n in numbers)} | {len(arrows[room])} |")
    files, lines, code = (sum(column) for column in zip(*counts.values(), strict=True))
    print(f"| sum | {files} | {lines:,} | {code:,} | {sum(len(arrows[r]) for r in counts)} |")
    print(f"| tests | {tests[0]} | {tests[1]:,} | {tests[2]:,} | |")
    print(f"\nTest lines per line: {tests[1] / lines:.2f}; of code: {tests[2] / code:.2f}")


if __name__ == "__main__":
    main()
