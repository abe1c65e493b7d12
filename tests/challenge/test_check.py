"""Each mistake that Codabench refuses, ignores or misunderstands gets a line: where, what to do."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from df2_landmarks.challenge.bundle import check_bundle
from df2_landmarks.cli.challenge import main
from df2_landmarks.common import UserError

Content = dict[str, Any]
Files = dict[str, bytes]
Edit = Callable[[Content, Files], object]


@pytest.fixture(scope="module")
def correct(bundles: dict[str, Path]) -> Files:
    with zipfile.ZipFile(bundles["clothes"]) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, files: Files, edit: Edit = lambda content, files: None) -> Path:
    """Write a bundle after an edit of the content of competition.yaml or of the files."""
    files = dict(files)
    content = yaml.safe_load(files["competition.yaml"])
    edit(content, files)
    if "competition.yaml" in files:
        files["competition.yaml"] = yaml.safe_dump(content, sort_keys=False).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def rezipped(data: bytes, edit: Callable[[Files], object]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    edit(files)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, member in files.items():
            archive.writestr(name, member)
    return stream.getvalue()


def program(edit: Callable[[Files], object]) -> Edit:
    def change(content: Content, files: Files) -> None:
        files["scoring_program.zip"] = rezipped(files["scoring_program.zip"], edit)

    return change


def command(text: str) -> Edit:
    return program(lambda files: files.update({"metadata.yaml": text.encode()}))


def unpacked(name: str) -> Edit:
    """A zip of the bundle becomes a folder, and is named without a slash."""

    def change(content: Content, files: Files) -> None:
        with zipfile.ZipFile(io.BytesIO(files.pop(name))) as archive:
            folder = name.removesuffix(".zip")
            files.update({f"{folder}/{n}": archive.read(n) for n in archive.namelist()})
        for entry in (*content["tasks"], *content["phases"]):
            for key, value in entry.items():
                entry[key] = name.removesuffix(".zip") if value == name else value

    return change


def picture(form: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, form)
    return stream.getvalue()


def reordered(content: Content, files: Files) -> None:
    for place, entry in enumerate(content["phases"]):
        entry["index"] = 1 - place


def board(content: Content) -> Content:
    (only,) = content["leaderboards"]
    return only


def column(content: Content, index: int = 0) -> Content:
    return board(content)["columns"][index]


def renamed_key(content: Content, files: Files) -> None:
    content["leaderboard"] = content.pop("leaderboards")


def second_board(content: Content, files: Files) -> None:
    content["leaderboards"].append({**board(content), "key": "second"})


def own_task(content: Content, files: Files) -> None:
    content["tasks"][0]["key"] = "11111111-2222-3333-4444-555555555555"


def computed(indexes: Any) -> Edit:
    def change(content: Content, files: Files) -> None:
        column(content, 5).update({"computation": "avg", "computation_indexes": indexes})

    return change


def fact(**changes: Any) -> Edit:
    return lambda content, files: content["fact_sheet"]["external_data"].update(changes)


def top(**changes: Any) -> Edit:
    return lambda content, files: content.update(changes)


def without(key: str) -> Edit:
    return lambda content, files: content.pop(key)


def phase(index: int, **changes: Any) -> Edit:
    return lambda content, files: content["phases"][index].update(changes)


def task(**changes: Any) -> Edit:
    return lambda content, files: content["tasks"][0].update(changes)


def in_board(**changes: Any) -> Edit:
    return lambda content, files: board(content).update(changes)


def in_column(**changes: Any) -> Edit:
    return lambda content, files: column(content).update(changes)


def file(name: str, data: bytes | str) -> Edit:
    data = data if isinstance(data, bytes) else data.encode()
    return lambda content, files: files.update({name: data})


def both(*edits: Edit) -> Edit:
    return lambda content, files: [edit(content, files) for edit in edits]


TRAPS: dict[str, tuple[Edit, str]] = {
    "old format": (without("version"), "top level: needs the key version"),
    "version 1": (top(version=1), "version: must be 2, or the server takes it for the old format"),
    "unknown key": (top(max_teams=3), "max_teams: the server ignores this key in silence; leave"),
    "misspelt key": (top(docker_imag="x"), "docker_imag: .* in silence; write docker_image"),
    "leaderboard": (renamed_key, "leaderboard: .* in silence; write leaderboards, a list"),
    "no title": (without("title"), "top level: needs the key title"),
    "long title": (top(title="t" * 257), "title: must have at most 256 characters, has 257"),
    "title is a number": (top(title=2027), "title: must be a text, but got 2027"),
    "flag in quotes": (top(forum_enabled="yes"), "forum_enabled: must be true or false"),
    "no image": (without("image"), "top level: needs the key image"),
    "image is missing": (top(image="x.png"), "image: there is no file 'x.png' in the bundle"),
    "SVG": (both(top(image="l.svg"), file("l.svg", "<svg/>")), r"image: l.svg must be .*not SVG"),
    "not that type": (file("logo.png", picture("JPEG")), "must hold PNG, but holds JPEG; convert"),
    "not a picture": (file("logo.png", "no"), "must hold PNG, but holds none that can be read"),
    "no terms": (without("terms"), "top level: needs the key terms"),
    "empty terms": (file("terms.md", " \n"), "terms: terms.md must not be empty"),
    "no pages": (without("pages"), "top level: needs the key pages"),
    "empty pages": (top(pages=[]), "pages: must have an entry"),
    "empty page": (file("pages/submit.md", ""), r"pages\[2\].file: pages/submit.md must not be"),
    "page is missing": (
        lambda c, f: f.pop("pages/submit.md"),
        r"pages\[2\].file: there is no file",
    ),
    "page is a text": (top(pages=["a.md"]), r"pages\[0\]: must be a mapping, but got 'a.md'"),
    "default image": (without("docker_image"), "needs the key docker_image: .* has Python 3.7"),
    "empty docker image": (top(docker_image=""), "docker_image: must not be empty"),
    "old docker image": (
        top(docker_image="codalab/codalab-legacy:py39"),
        "docker_image: .*py39 has an old Python; write codalab/codalab-legacy:py312",
    ),
    "long docker image": (top(docker_image="i" * 129), "docker_image: must have at most 128"),
    "long reward": (top(reward="r" * 257), "reward: must have at most 256 characters"),
    "no address": (top(contact_email="me at home"), "contact_email: must be an address"),
    "kind": (top(competition_type="contest"), "competition_type: must be competition, benchmark"),
    "fact sheet keys": (fact(note=1), "fact_sheet.external_data: must have exactly the keys"),
    "fact sheet key": (fact(key="data"), "external_data.key: must be 'external_data', but got"),
    "fact sheet type": (fact(type="radio"), "external_data.type: must be checkbox, text, select"),
    "fact sheet selection": (fact(selection="no"), "external_data.selection: must be .* a list of"),
    "fact sheet flag": (fact(is_required=True), 'is_required: must be "true" or "false" in quotes'),
    "two tasks of an index": (task(index=1), r"tasks\[1\].index: must be unique, but 1 is that of"),
    "no task index": (lambda c, f: c["tasks"][1].pop("index"), r"tasks\[1\]: needs the key index"),
    "task without a name": (lambda c, f: c["tasks"][1].pop("name"), r"tasks\[1\]: needs the key"),
    "task without program": (
        lambda c, f: c["tasks"][1].pop("scoring_program"),
        r"tasks\[1\]: needs the key scoring_program",
    ),
    "ignored task keys": (own_task, r"tasks\[0\].scoring_program: the server ignores this key"),
    "is_public": (task(is_public=True), r"tasks\[0\].is_public: .* in silence; leave it out"),
    "data is missing": (
        task(reference_data="ref.zip"),
        r"tasks\[0\].reference_data: there is no file 'ref.zip'",
    ),
    "data is a folder": (
        unpacked("reference_val.zip"),
        r"tasks\[0\].reference_data: reference_val is a folder, .* pack its files as a .zip",
    ),
    "program is a folder": (unpacked("scoring_program.zip"), r"scoring_program is a folder"),
    "kit is a folder": (unpacked("starting_kit.zip"), r"phases\[0\].starting_kit: .* is a folder"),
    "data is not a zip": (file("reference_val.zip", "PK"), "reference_val.zip must be a whole zip"),
    "program in a folder": (
        program(lambda f: f.update({f"p/{n}": f.pop(n) for n in list(f)})),
        "needs metadata.yaml with a command at its root .*zip the files, not their folder",
    ),
    "no metadata": (
        program(lambda f: f.pop("metadata.yaml")),
        "needs metadata.yaml with a command",
    ),
    "no command": (command("image: x"), "metadata.yaml: must have a command, as `command: python3"),
    "shell": (
        command("command: pip install x && python3 a.py"),
        "no shell runs the command .*; write one program with its arguments",
    ),
    "variable": (
        command("command: python3 $HOME/score.py"),
        "no shell runs the command",
    ),
    "other script": (
        command("command: python3 evaluate.py"),
        "the command runs evaluate.py, which is not in the zip",
    ),
    "n/a ranks first": (
        in_column(key="landmark_AP"),
        "never writes 'landmark_AP', a column .* would be n/a, and n/a ranks first; remove",
    ),
    "no phase name": (lambda c, f: c["phases"][0].pop("name"), r"phases\[0\]: needs the key name"),
    "no start": (lambda c, f: c["phases"][0].pop("start"), r"phases\[0\]: needs the key start"),
    "no end": (
        lambda c, f: c["phases"][0].pop("end"),
        r"phases\[0\]: needs an end, as every phase",
    ),
    "unquoted time": (
        phase(1, start=datetime(2027, 3, 1, 13, 30)),
        r'phases\[1\].start: must be in quotes, .*drops the time of day: "2027-03-01 13:30:00"',
    ),
    "unquoted date": (phase(0, start=date(2027, 1, 1)), r"start: must be in quotes"),
    "zone": (phase(0, start="2027-01-01 13:30:00+02:00"), r"start: must be .* without a zone"),
    "month first": (phase(0, start="1-2-2027"), r"start: must be \"YYYY-MM-DD HH:MM:SS\" in UTC"),
    "no such day": (phase(0, start="2027-02-30 00:00:00"), r"phases\[0\].start: must be"),
    "end before start": (
        phase(0, end="2026-12-31 00:00:00"),
        r"phases\[0\].end: must be later than the start",
    ),
    "overlapping": (
        phase(0, end="2027-04-01 00:00:00"),
        r"phases\[1\].start: phases must not overlap: must be at least 1 s after 2027-04-01",
    ),
    "touching": (
        phase(0, end="2027-03-01 13:30:00"),
        r"phases\[1\].start: phases must not overlap",
    ),
    "order by index": (reordered, r"phases\[1\]: needs an end, as every phase"),
    "no such task": (phase(1, tasks=[7]), r"phases\[1\].tasks: must be of \[0, 1\], .* but got 7"),
    "no task": (phase(1, tasks=[]), r"phases\[1\].tasks: must have the index of a task"),
    "per person": (
        phase(0, max_submissions_per_person=9),
        "max_submissions_per_person: .* in silence; write max_submissions",
    ),
    "only documented": (
        phase(0, accepts_only_result_submissions=True),
        "accepts_only_result_submissions: .* nothing reads it",
    ),
    "negative": (phase(0, max_submissions=-1), "max_submissions: must be 0 .no limit. or more"),
    "long run": (phase(0, execution_time_limit=3600), "execution_time_limit: must be at most 600"),
    "migrating first": (phase(0, auto_migrate_to_this_phase=True), "must not be true in the first"),
    "shown output": (phase(1, hide_output=False), r"phases\[1\].hide_output: must be true in the"),
    "shown scores": (
        lambda c, f: c["phases"][1].pop("hide_score_output"),
        r"phases\[1\].hide_score_output: must be true in the last phase",
    ),
    "two leaderboards": (second_board, "leaderboards: must be one, .* uses only the first"),
    "rule with spaces": (
        in_board(submission_rule="Force Best"),
        "submission_rule: must be Force_Best, .*, but got 'Force Best'; .* unpacks for ever",
    ),
    "no rule": (lambda c, f: board(c).pop("submission_rule"), "needs the key submission_rule"),
    "long board title": (in_board(title="t" * 65), r"leaderboards\[0\].title: .* at most 64"),
    "long board key": (in_board(key="k" * 37), r"leaderboards\[0\].key: .* at most 36"),
    "no columns": (in_board(columns=[]), r"leaderboards\[0\].columns: must have an entry"),
    "primary index": (in_board(primary_index=9), "primary_index: must be the index of the ranking"),
    "long column title": (in_column(title="t" * 37), r"columns\[0\].title: must have at most 36"),
    "two columns of a key": (
        lambda c, f: column(c, 1).update(key=column(c)["key"]),
        r"columns\[1\].key: must be unique",
    ),
    "two columns of an index": (
        lambda c, f: column(c, 2).update(index=1),
        r"columns\[2\].index: must be unique, but 1 is that of leaderboards\[0\].columns\[1\]",
    ),
    "two decimals": (
        lambda c, f: column(c).pop("precision"),
        r"columns\[0\]: needs the key precision: .* shows an AP of .5346 as 0.53; write 4",
    ),
    "sorting": (
        in_column(sorting="descending"),
        "sorting: must be desc, asc, but got 'descending'",
    ),
    "mean of itself": (computed([5, 0]), "computation_indexes: must be of .*, the other columns"),
    "mean of nothing": (computed([]), "needs both computation and computation_indexes"),
    "mean of no column": (computed([17]), "computation_indexes: must be of"),
    "solution of no task": (
        top(solutions=[{"index": 0, "path": "starting_kit.zip", "tasks": [5]}]),
        r"solutions\[0\].tasks: must be of \[0, 1\]",
    ),
    "path out of the zip": (file("../up.md", "x"), "must be a path inside the zip"),
}


def test_a_correct_bundle_has_no_mistakes(bundles: dict[str, Path]) -> None:
    for path in bundles.values():
        assert check_bundle(path) == []


@pytest.mark.parametrize("name", TRAPS)
def test_each_trap_is_named_with_its_place_and_what_to_do(
    correct: Files, tmp_path: Path, name: str
) -> None:
    edit, message = TRAPS[name]
    problems = check_bundle(written(tmp_path / "b.zip", correct, edit))
    assert [line for line in problems if re.search(message, line)], problems
    assert len(problems) <= 4, "one mistake, not a page of lines"
    assert all("\n" not in line and len(line) < 300 for line in problems)


def test_an_own_queue_takes_a_longer_time(correct: Files, tmp_path: Path) -> None:
    edit = both(top(queue="own-queue"), phase(0, execution_time_limit=3600))
    assert check_bundle(written(tmp_path / "b.zip", correct, edit)) == []


def test_what_is_on_the_server_already_is_not_looked_for(correct: Files, tmp_path: Path) -> None:
    uuid = "11111111-2222-3333-4444-555555555555"
    kept = {"index": 0, "key": uuid}
    edit = both(
        lambda content, files: content["tasks"].__setitem__(0, kept),
        lambda content, files: content["tasks"][1].update(reference_data=uuid),
    )
    assert check_bundle(written(tmp_path / "b.zip", correct, edit)) == []


@pytest.mark.parametrize(
    "line", ["python3 $program/score.py", "python3 /app/program/score.py $input"]
)
def test_the_servers_own_names_are_no_variables(correct: Files, tmp_path: Path, line: str) -> None:
    path = written(tmp_path / "b.zip", correct, command(f"command: {line}"))
    assert check_bundle(path) == []


def test_a_link_in_the_bundle_is_refused(correct: Files, tmp_path: Path) -> None:
    path = written(tmp_path / "b.zip", correct, lambda content, files: files.pop("terms.md"))
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("terms.md")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert [line for line in check_bundle(path) if "must be a file, but is a link" in line]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda content, files: files.update({f"b/{n}": files.pop(n) for n in list(files)}),
            r"competition.yaml must be at the root .* zip the files, not their folder",
        ),
        (lambda content, files: files.pop("competition.yaml"), "must be at the root of the zip"),
    ],
)
def test_without_a_competition_at_the_root_nothing_is_checked(
    correct: Files, tmp_path: Path, edit: Edit, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_bundle(written(tmp_path / "b.zip", correct, edit))


@pytest.mark.parametrize("text", ["title: [", "- 1", "title: 2027-13-45"])
def test_what_is_not_yaml_is_refused_in_one_line(correct: Files, tmp_path: Path, text: str) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("competition.yaml", text)
    with pytest.raises(UserError, match=r"competition.yaml: must be (YAML|a mapping)"):
        check_bundle(tmp_path / "b.zip")


def test_the_command_prints_each_line_and_ends_with_1(
    bundles: dict[str, Path],
    correct: Files,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", str(bundles["clothes"])]) == 0
    assert "no mistakes found" in capsys.readouterr().out
    path = written(tmp_path / "b.zip", correct, both(top(version=1, typo=1)))
    assert main(["check", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0].startswith("competition.yaml, typo: ")
    assert main(["check", str(tmp_path / "none.zip")]) == 1
    assert "there is no such file" in capsys.readouterr().err


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a value stands in competition.yaml: keys and numbers down to it."""
    entries: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        entries = list(node.items())
    elif isinstance(node, list):
        entries = list(enumerate(node))
    return [p for key, value in entries for p in [(*path, key), *places(value, (*path, key))]]


@pytest.mark.parametrize("value", [None, [], {}, [[1]], {"a": {}}, -1, 1.5, "", "x", True])
def test_whatever_stands_where_is_answered_with_lines(
    correct: Files, tmp_path: Path, value: Any
) -> None:
    for place in places(yaml.safe_load(correct["competition.yaml"])):

        def put(content: Content, files: Files, place: tuple[Any, ...] = place) -> None:
            node: Any = content
            for key in place[:-1]:
                node = node[key]
            node[place[-1]] = value

        lines = check_bundle(written(tmp_path / "b.zip", correct, put))
        assert all(isinstance(line, str) and len(line) < 400 for line in lines), place


def test_damage_is_said_in_one_line(correct: Files, tmp_path: Path) -> None:
    path = written(tmp_path / "b.zip", correct)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x03\x04", 10) - 5] ^= 0xFF  # in competition.yaml
    path.write_bytes(data)
    with pytest.raises(UserError, match="is damaged; copy or pack it again"):
        check_bundle(path)
    path.write_bytes(data[:5000])
    with pytest.raises(UserError, match="must be a zip without a password, but"):
        check_bundle(path)
