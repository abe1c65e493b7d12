"""The page about measurements says what the table says, and its examples run as written."""

import io
import re
from contextlib import redirect_stdout

from df2_landmarks.taxonomy import DEEPFASHION2, measurements_of, read_measurements
from df2_landmarks.taxonomy.measurements import ROWS
from tests.support import ROOT

PAGE = (ROOT / "docs/how-to/measure.md").read_text(encoding="utf-8")

MEASUREMENTS = {c.id: measurements_of(c) for c in DEEPFASHION2.categories}


def rows_of_the_page():
    """The rows of the page's table, as they follow from the table of the measurements."""
    for row in ROWS.strip().splitlines():
        name, text = row.split(maxsplit=1)
        tokens = text.partition(" if ")[0].split()
        fixed = [token.replace("*", "left") for token in tokens if "#" not in token]
        ids = [
            str(category_id)
            for category_id, table in MEASUREMENTS.items()
            for m in table
            if m.name == name.replace("*", "left")
            and [n for n in m.path if not re.search(r"_\d$", n) or n in fixed] == fixed
        ]
        yield f"| `{name}` | `{' '.join(tokens)}` | {', '.join(ids)} |"


def test_the_page_lists_every_measurement():
    listed = re.findall(r"^\| `\w+\*?` \| `[^`]+` \| [\d, ]+ \|$", PAGE, re.MULTILINE)
    assert listed == list(rows_of_the_page())


def test_the_page_numbers_the_categories():
    listed = re.findall(r"(\d+) ([a-z ]+)[,.]", PAGE.partition("Categories:")[2].split("\n\n")[0])
    assert listed == [(str(category.id), category.name) for category in DEEPFASHION2.categories]


def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert [language for language, _ in blocks] == ["python", "text", "yaml", "python", "text"]
    printed = io.StringIO()
    for language, text in blocks:
        if language == "yaml":
            (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
        elif language == "python":
            with redirect_stdout(printed):
                exec(text, {})
        else:
            assert printed.getvalue() == text
            printed = io.StringIO()
    assert read_measurements("own.yaml")[12] != MEASUREMENTS[12]
