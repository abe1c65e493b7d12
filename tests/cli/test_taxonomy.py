"""``df2 taxonomy`` as a user meets it."""

from __future__ import annotations

from df2_landmarks.cli import taxonomy
from df2_landmarks.formats import read_taxonomy
from df2_landmarks.taxonomy import DEEPFASHION2

FOXES = """
categories:
  - name: fox
    keypoints: [ear_left, ear_right, paw_left, paw_right]
    flip_pairs: [[1, 2]]
    sigmas: [.03, .04, .1, .1]
"""


def test_it_prints_deepfashion2_s(capsys):
    assert taxonomy.main([]) == 0
    out = capsys.readouterr().out
    assert "DeepFashion2: 13 categories, 294 landmarks" in out
    for category in DEEPFASHION2.categories:
        assert all(name in out for name in category.landmark_names)
    assert out.count("warning:") == 1 and "sleeve_left_inner_1" in out


def test_it_warns_of_what_is_odd(tmp_path, capsys):
    (tmp_path / "foxes.yaml").write_text(FOXES)
    assert taxonomy.main([str(tmp_path / "foxes.yaml")]) == 0
    out = capsys.readouterr().out
    assert "ear_left and ear_right are mirrored, but have the sigmas 0.0300 and 0.0400" in out
    assert "are no flip pairs: paw_left - paw_right" in out


def test_what_was_guessed_can_be_written_down_and_confirmed(tmp_path, capsys):
    source, target = tmp_path / "owl.yaml", tmp_path / "owls.yaml"
    source.write_text("categories: [{name: owl, keypoints: [wing_left, wing_right]}]")
    assert taxonomy.main([str(source), "--output", str(target)]) == 0
    out = capsys.readouterr().out
    assert "note: owl: flip pairs guessed from the names: wing_left - wing_right" in out
    assert "note: sigmas: .05, the default, for owl" in out
    assert read_taxonomy(target) == read_taxonomy(source)
    assert taxonomy.main([str(target)]) == 0
    assert "nothing was assumed, nothing is odd" in capsys.readouterr().out


def test_a_wrong_table_is_one_line(tmp_path, capsys):
    (tmp_path / "a.yaml").write_text("categories: [{name: owl, keypoints: [a, a]}]")
    assert taxonomy.main([str(tmp_path / "a.yaml")]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "landmark names must be unique, but 'a' occurs again" in err
