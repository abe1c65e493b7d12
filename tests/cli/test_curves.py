"""``df2 curves``: from metrics.json to a picture."""

from __future__ import annotations

import builtins
import json

import pytest

from df2_landmarks.cli.training import curves


def line(iteration, **numbers):
    return json.dumps({"iteration": iteration, **numbers}) + "\n"


@pytest.fixture
def run(tmp_path):
    """`run(name, *lines)` writes the metrics.json of a run and returns its folder."""

    def make(name, *lines):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text("".join(lines))
        return folder

    return make


def three(factor=1.0):
    return [
        line(i, total_loss=factor * loss, loss_mask=1.0, lr=0.1, **{"landmarks/AP": 10.0 * factor})
        for i, loss in ((19, 3.0), (39, 2.0), (59, 1.0))
    ]


def read(folder):
    return curves.read_metrics(folder / "metrics.json")


def test_half_lines_and_what_is_not_finite_are_left_out(run):
    text = [line(19, total_loss=3.0, lr=float("nan")), '{"iteration": 39, "tot', "\n", "[1]\n"]
    text += [line(39, total_loss=2.0, note="text"), '{"iteration": 59, "total_loss": 0.']
    assert read(run("a", *text)) == {"total_loss": {19: 3.0, 39: 2.0}}


def test_a_resumed_training_replaces_what_came_after_its_start(run):
    folder = run("a", *three(), line(24, total_loss=9.0), line(44, total_loss=8.0))
    assert read(folder)["total_loss"] == {19: 3.0, 24: 9.0, 44: 8.0}
    assert read(folder)["loss_mask"] == {19: 1.0}
    anew = run("b", *three(), line(19, total_loss=7.0))
    assert read(anew) == {"total_loss": {19: 7.0}}


def test_numbers_of_an_iteration_in_two_lines_are_joined(run):
    folder = run("a", line(19, total_loss=1.0, lr=0.1), line(19, total_loss=2.0, **{"bbox/AP": 5}))
    assert read(folder) == {"total_loss": {19: 2.0}, "lr": {19: 0.1}, "bbox/AP": {19: 5}}


def test_a_panel_for_each_number_with_a_line_for_each_run(run):
    runs = {"a": read(run("a", *three())), "b": read(run("b", *three(2.0)[:2]))}
    figure = curves.draw_curves(runs)
    panels = {axes.get_title(): axes.get_lines() for axes in figure.axes}
    assert list(panels) == ["total_loss", "loss_mask", "lr", "landmarks/AP"]
    drawn = [[list(pair) for pair in lines.get_xydata()] for lines in panels["total_loss"]]
    assert drawn == [[[19, 3], [39, 2], [59, 1]], [[19, 6], [39, 4]]]
    first, second = panels["landmarks/AP"]
    assert list(first.get_ydata()) == pytest.approx([0.1] * 3)  # a fraction
    assert first.get_color() != second.get_color()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_twenty_runs_have_lines_of_their_own(run):
    runs = {f"run{n}": read(run(f"run{n}", *three())) for n in range(20)}
    lines = curves.draw_curves(runs).axes[0].get_lines()
    assert len({(one.get_color(), one.get_linestyle()) for one in lines}) == 20


def test_names_of_folders_are_shown_as_they_are_and_paths_where_they_are_ambiguous(run, tmp_path):
    first, second, odd = run("x/out", *three()), run("y/out", *three()), run("_$a$", *three())
    names = curves.run_names([first, second, odd / "metrics.json", first])
    assert list(names) == [str(first), str(second), "_$a$"]
    output = tmp_path / "curves.svg"
    assert curves.main([str(odd), str(first), "--output", str(output)]) == 0
    assert "<!-- _$a$ -->" in output.read_text()
    assert "Oblique" not in output.read_text()  # the letters of a formula


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf", ".SVG"])
def test_the_same_numbers_give_the_same_bytes(run, run_python, tmp_path, suffix):
    folders = [str(run("a", *three())), str(run("b", *three(2.0)))]
    first, second = (tmp_path / f"{n}{suffix}" for n in (1, 2))
    assert curves.main([*folders, "--output", str(first)]) == 0
    settings = tmp_path / "matplotlibrc"
    settings.write_text("lines.linewidth: 7\n")  # a user's own, and another process and time
    command = ("-m", "df2_landmarks.cli.main", "curves", *folders, "--output", second)
    done = run_python(*command, MATPLOTLIBRC=str(settings), SOURCE_DATE_EPOCH="0")
    assert done.returncode == 0, done.stderr
    assert first.read_bytes() == second.read_bytes()
    start = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}[suffix.lower()]
    assert first.read_bytes().startswith(start)


def test_mistakes_are_named_in_a_line(run, tmp_path, capsys):
    good, empty, other = run("a", *three()), run("empty", '{"iter'), run("o", line(1, time=2.0))
    output = str(tmp_path / "curves.svg")
    for arguments, message in (
        ([str(tmp_path / "nowhere"), "--output", output], "nowhere: cannot be read: No such file"),
        ([str(tmp_path), "--output", output], "metrics.json: cannot be read: No such file"),
        ([str(empty), "--output", output], "expected lines of a training"),
        ([str(other), "--output", output], "o: expected losses, a learning rate or scores"),
        ([str(good), "--output", str(tmp_path / "a.gif")], "must end in .svg, .png, .pdf"),
        ([str(good), "--output", str(tmp_path)], "must be a file, but is a folder"),
    ):
        assert curves.main(arguments) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "curves.svg").exists()


def test_without_matplotlib_it_says_what_to_install(run, tmp_path, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    folder = run("a", *three())
    assert curves.main([str(folder), "--output", str(tmp_path / "curves.svg")]) == 2
    assert capsys.readouterr().err == (
        "df2 curves: the picture needs matplotlib: `pip install matplotlib`\n"
    )
