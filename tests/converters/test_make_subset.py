"""A subset is reproducible, complete, and holds the rare categories."""

import json
from collections import Counter

import pytest

from converters.deepfashion2_to_coco import main as convert
from converters.make_subset import main

TOP, TROUSERS, SLING = 1, 8, 6


@pytest.fixture
def root(raw_folder, raw_item, tmp_path):
    """60 training images: mostly tops, some with trousers, a few slings; 10 test images."""
    train = raw_folder("root/train")
    for image_id in range(1, 61):
        items = [raw_item(TOP)]
        items += [raw_item(TROUSERS)] * (image_id % 4 == 0)
        items += [raw_item(SLING)] * (image_id % 20 == 0)
        train.add(image_id, *items)
    test = raw_folder("root/test")
    for image_id in range(1, 11):
        test.add(image_id)
    for path in test.annos.iterdir():
        path.unlink()
    test.annos.rmdir()
    return tmp_path / "root"


def names(folder):
    return sorted(p.stem for p in folder.iterdir())


def test_number_of_images_with_their_annotations(root, tmp_path):
    out = tmp_path / "out"
    assert main([str(root), str(out), "--images", "7"]) == 0
    assert len(names(out / "train" / "image")) == 7
    assert names(out / "train" / "image") == names(out / "train" / "annos")
    assert len(names(out / "test" / "image")) == 7
    assert not (out / "test" / "annos").exists()
    for path in (out / "train" / "annos").iterdir():
        assert path.read_bytes() == (root / "train" / "annos" / path.name).read_bytes()


def test_same_seed_same_images_other_seed_other_images(root, tmp_path):
    chosen = []
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert main([str(root), str(tmp_path / name), "--images", "9", "--seed", seed]) == 0
        chosen.append(names(tmp_path / name / "train" / "image"))
    assert chosen[0] == chosen[1] != chosen[2]
    content = json.loads((tmp_path / "a" / "subset.json").read_text())
    assert content["splits"]["train"] == [int(name) for name in chosen[0]]


def test_items_per_category_rare_ones_first(root, tmp_path):
    out = tmp_path / "out"
    assert main([str(root), str(out), "--per-category", "5", "--splits", "train"]) == 0
    counts = Counter()
    for path in (out / "train" / "annos").iterdir():
        content = json.loads(path.read_text())
        counts.update(v["category_id"] for v in content.values() if isinstance(v, dict))
    # There are 3 slings, each beside trousers and a top; 2 more trousers make 5 tops.
    assert counts == {SLING: 3, TROUSERS: 5, TOP: 5}


def test_subset_can_be_converted(root, tmp_path):
    out = tmp_path / "out"
    assert main([str(root), str(out), "--images", "5", "--copy"]) == 0
    assert convert(["--root", str(out)]) == 0
    coco = json.loads((out / "annotations" / "train.json").read_bytes())
    assert [f"{i['id']:06d}" for i in coco["images"]] == names(out / "train" / "image")


def test_links_do_not_take_space_and_copies_are_independent(root, tmp_path):
    assert main([str(root), str(tmp_path / "a"), "--images", "1", "--splits", "test"]) == 0
    assert (
        main([str(root), str(tmp_path / "b"), "--images", "1", "--splits", "test", "--copy"]) == 0
    )
    (linked,) = (tmp_path / "a" / "test" / "image").iterdir()
    (copied,) = (tmp_path / "b" / "test" / "image").iterdir()
    original = root / "test" / "image" / linked.name
    assert linked.samefile(original) and not copied.samefile(original)


def test_bad_input_is_one_line(root, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([str(tmp_path / "nowhere"), str(out), "--images", "1"]) == 2
    (root / "train" / "annos" / "000003.json").write_text("{")
    assert main([str(root), str(out), "--per-category", "1"]) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["root"]
    assert main([str(root), str(root), "--images", "1"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert "000003.json: is not valid JSON" in errors[1]


def test_image_that_is_missing_is_named(root, tmp_path, capsys):
    (root / "train" / "image" / "000003.jpg").unlink()
    assert main([str(root), str(tmp_path / "out"), "--images", "60"]) == 1
    error = capsys.readouterr().err.strip()
    assert "\n" not in error and "000003.jpg: missing image" in error
    assert not (tmp_path / "out").exists()


def test_images_that_are_links_are_taken_as_files(root, tmp_path):
    """A link with a relative path would lead nowhere from the new folder."""
    images = root / "train" / "image"
    store = root / "store"
    images.rename(store)
    images.mkdir()
    for path in store.iterdir():
        (images / path.name).symlink_to(f"../../store/{path.name}")
    out = tmp_path / "elsewhere" / "deep" / "out"
    assert main([str(root), str(out), "--images", "3", "--splits", "train"]) == 0
    for path in (out / "train" / "image").iterdir():
        assert path.samefile(store / path.name)


def test_the_current_folder_can_be_filled(root, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main([str(root), ".", "--images", "1", "--splits", "train"]) == 0
    assert len(names(tmp_path / "here" / "train" / "image")) == 1


@pytest.mark.parametrize("output", ["file", "file/out"])
def test_output_that_cannot_be_a_folder_is_one_line(output, root, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main([str(root), str(tmp_path / output), "--images", "1"]) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error and f"{output}: " in error


def test_categories_cannot_be_taken_from_images_alone(root, tmp_path, capsys):
    arguments = [str(root), str(tmp_path / "out"), "--per-category", "1", "--splits", "test"]
    assert main(arguments) == 2
    assert "--per-category needs annotations" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
