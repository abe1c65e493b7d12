"""Catalogues: each picture gets one row, whatever happens to the run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from df2_landmarks.cli import predict
from df2_landmarks.common import UserError
from df2_landmarks.predict import (
    Catalogue,
    Input,
    catalogue_schema,
    import_ray,
    parquet_schema,
    remove_catalogue,
    stream_inputs,
)
from df2_landmarks.predict.catalogue import (
    BLOCKS_PER_ACTOR,
    MAX_FILES,
    MAX_ROWS,
    SPARE_CPUS,
    Cluster,
    _cluster_options,
    _explained,
    rows_per_block,
)
from tests.support import ROOT, default_signals

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

PAGE = (ROOT / "docs/how-to/catalogues.md").read_text(encoding="utf-8")
RUN = {"model": "0123456789abcdef"}


def paths(catalogue: Catalogue) -> list[bytes]:
    return parquet.read_table(catalogue.folder / "inputs.parquet")["path"].to_pylist()


def write_rows(
    folder: Path, name: str, ids: list[int], *, committed: bool = True, error: str | None = None
) -> None:
    """Write rows as Ray does: the ids into the checkpoint, the rows into the table."""
    rows = [{"id": i, "file": f"{i}.jpg", "garments": [], "error": error} for i in ids]
    table = pyarrow.Table.from_pylist(rows, schema=catalogue_schema())
    parquet.write_table(table, folder / "predictions" / f"{name}-0.parquet")
    if committed:
        (folder / "checkpoint").mkdir(exist_ok=True)
        parquet.write_table(table.select(["id"]), folder / "checkpoint" / f"{name}.parquet")


def test_a_row_is_that_of_the_plain_command_and_the_place_in_the_list() -> None:
    assert catalogue_schema().names == ["id", *parquet_schema().names]
    assert pyarrow.schema(list(catalogue_schema())[1:]) == parquet_schema()


def test_the_page_lists_the_columns_of_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", PAGE, re.MULTILINE)
    schema = catalogue_schema()
    assert [name for name, _, _ in rows] == schema.names
    for name, type_name, content in rows:
        kind = schema.field(name).type
        assert str(kind).startswith(type_name)
        if name == "garments":
            inner = [kind.value_type, *(f.type for f in kind.value_type)]
            inner = [t.value_type if pyarrow.types.is_list(t) else t for t in inner]
            named = [f.name for t in inner if pyarrow.types.is_struct(t) for f in t]
            assert sorted(re.findall(r"`(\w+)`", content)) == sorted(named)


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    folder = tmp_path / "output/catalogue"
    folder.mkdir(parents=True)
    Catalogue(folder, RUN, [Input("", "")] * 3, resume=False)
    write_rows(folder, "x", [0, 1])
    write_rows(folder, "y", [2], error="not a picture")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "catalogues.md", "exec"), {})
    assert Path("failed.txt").read_text() == "2.jpg\n"
    assert parquet.read_table("output/merged").num_rows == 3


def test_every_entry_of_the_list_gets_a_number_of_its_own(tmp_path: Path) -> None:
    inputs = [Input(name, name) for name in ("a.jpg", "a.jpg", "b\udcff.jpg", "c.mp4")]
    inputs.append(Input("d", "", "the folder cannot be listed: why"))
    catalogue = Catalogue(tmp_path, RUN, inputs, resume=False)
    table = parquet.read_table(tmp_path / "inputs.parquet").to_pydict()
    assert catalogue.num_pictures == 5
    assert table["id"] == [0, 1, 2, 3, 4]
    assert table["path"] == [b"a.jpg", b"a.jpg", b"b\xff.jpg", b"c.mp4", b"d"]
    assert table["error"][:3] == ["", "", ""]
    assert "c.mp4: a video" in table["error"][3]
    assert table["error"][4] == "the folder cannot be listed: why"


def test_the_parts_together_are_the_whole(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"photos/{i}.jpg\n" for i in range(500)))

    def listed(name: str, part: tuple[int, int]) -> list[bytes]:
        (tmp_path / name).mkdir()
        inputs = stream_inputs([str(tmp_path / "list.txt")], part=part)
        return paths(Catalogue(tmp_path / name, RUN, inputs, resume=False))

    parts = [listed(f"part-{i}", (i, 7)) for i in range(1, 8)]
    assert sorted(path for part in parts for path in part) == sorted(listed("whole", (1, 1)))
    assert min(map(len, parts)) > 40


def test_a_resumed_run_takes_the_list_of_the_first(tmp_path: Path) -> None:
    Catalogue(tmp_path, RUN, [Input("a.jpg", ""), Input("b.jpg", "")], resume=False)
    write_rows(tmp_path, "x", [1])
    catalogue = Catalogue(tmp_path, RUN, [Input("new.jpg", "")], resume=True)
    assert paths(catalogue) == [b"a.jpg", b"b.jpg"]
    assert (catalogue.num_pictures, catalogue.num_done) == (2, 1)


def test_a_second_run_must_resume_or_overwrite_and_be_the_same(tmp_path: Path) -> None:
    Catalogue(tmp_path, RUN, [], resume=False)
    with pytest.raises(UserError, match="add --resume"):
        Catalogue(tmp_path, RUN, [], resume=False)
    with pytest.raises(UserError, match="made with model '0123456789abcdef', this run has 'other'"):
        Catalogue(tmp_path, {"model": "other"}, [], resume=True)
    remove_catalogue(tmp_path)
    Catalogue(tmp_path, {"model": "other"}, [], resume=False)


def test_rows_are_reported_once_and_only_when_they_are_committed(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, RUN, [Input("", "")] * 4, resume=False)
    write_rows(tmp_path, "x", [0, 1])
    write_rows(tmp_path, "y", [2], committed=False)
    assert [row.file for row in catalogue.new_rows()] == ["0.jpg", "1.jpg"]
    write_rows(tmp_path, "z", [3])
    late = (tmp_path / "predictions/z-0.parquet").rename(tmp_path / "late")
    assert not list(catalogue.new_rows())
    late.rename(tmp_path / "predictions/z-0.parquet")
    assert [row.file for row in catalogue.new_rows()] == ["3.jpg"]


def test_the_end_removes_uncommitted_rows_and_counts_the_others(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, RUN, [Input("", "")] * 3, resume=False)
    write_rows(tmp_path, "x", [0, 1, 2])
    write_rows(tmp_path, "y", [2], committed=False)
    catalogue.finish()
    assert [file.name for file in (tmp_path / "predictions").iterdir()] == ["x-0.parquet"]
    write_rows(tmp_path, "z", [2])
    with pytest.raises(UserError, match="has 4 rows for 3 pictures"):
        catalogue.finish()


def test_blocks_are_small_but_not_too_many() -> None:
    assert rows_per_block(3, 8) == 1
    assert rows_per_block(200, 2) == 200 // (2 * BLOCKS_PER_ACTOR)
    assert rows_per_block(1_000_000, 2) == MAX_ROWS
    assert rows_per_block(100_000_000, 1000) == 100_000_000 // MAX_FILES


def test_a_cluster_keeps_processors_for_ray_itself() -> None:
    machine = {"CPU": 16.0}
    assert _cluster_options(machine, Cluster("auto"), None).actors == 16 - SPARE_CPUS
    assert _cluster_options({**machine, "GPU": 2.0}, Cluster("auto"), None).gpus == 1
    assert _cluster_options({**machine, "GPU": 2.0}, Cluster("auto", 4), None).gpus == 0.5
    assert _cluster_options({**machine, "GPU": 2.0}, Cluster("auto", 4), "cpu").gpus == 0
    with pytest.raises(UserError, match="the cluster needs 18 CPUs for that, but has 16"):
        _cluster_options(machine, Cluster("auto", 16), None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--actors", "2"], "--address and --actors need --engine ray"),
        (["--address", "auto"], "--address and --actors need --engine ray"),
        (["--engine", "ray", "--format", "csv"], "writes Parquet, and no other format"),
    ],
)
def test_options_that_contradict_each_other(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        predict.parse_arguments(["photos", *options])
    assert message in capsys.readouterr().err


def test_without_ray_the_command_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'ray\[data\]'"):
        import_ray()


def test_errors_of_an_actor_arrive_as_one_line() -> None:
    ray = pytest.importorskip("ray")
    wrapped = RuntimeError("of Ray")
    wrapped.__cause__ = UserError("node-3: no such file\nlines of Ray", exit_code=2)
    explained = _explained(wrapped)
    assert (str(explained), explained.exit_code) == ("node-3: no such file", 2)  # type: ignore[attr-defined]
    assert "for lack of memory" in str(_explained(ray.exceptions.ActorDiedError()))
    bug = ZeroDivisionError()
    assert _explained(bug) is bug


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two tiny models with other weights; they detect nearly nothing."""
    import torch
    from detectron2.modeling import build_model

    from df2_landmarks.engine.checkpoint import LandmarkCheckpointer
    from df2_landmarks.formats import model_record
    from df2_landmarks.taxonomy import DEEPFASHION2
    from tests.support import tiny_config

    cfg = tiny_config()
    files = []
    for seed in (0, 1):
        folder = tmp_path_factory.mktemp("model")
        torch.manual_seed(seed)
        record = model_record(cfg.dump(), DEEPFASHION2)
        LandmarkCheckpointer(build_model(cfg), str(folder), record=record).save("model_final")
        files.append(folder / "model_final.pth")
    return files


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "df2_landmarks.cli.predict", *map(str, arguments)],
        cwd=ROOT,
        # As many in each of the plain command's: sums in another order are rounded otherwise.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=default_signals,
    )


@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_what_the_plain_command_gives(
    weights: list[Path], tiny_datasets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray.data")
    pictures = sorted((tiny_datasets / "deepfashion2_synthetic/train/image").iterdir())
    names = [*map(str, pictures), "/nowhere/x.jpg"] * 6
    (tmp_path / "list.txt").write_text("".join(f"{name}\n" for name in names))
    common = [tmp_path / "list.txt", "--no-pictures", "--min-score", "0.0001", "--batch", "1"]
    ray = [*common, "--engine", "ray", "--actors", "1", "--output", tmp_path / "ray"]

    killed = start(*ray, "--weights", weights[0])
    checkpoint = tmp_path / "ray/checkpoint"
    while killed.poll() is None and not list(checkpoint.glob("*.parquet")):
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    assert killed.returncode < 0
    assert 0 < sum(len(parquet.read_table(f)) for f in checkpoint.iterdir()) < len(names)

    resumed = start(*ray, "--weights", weights[0], "--resume")
    out, err = resumed.communicate()
    assert resumed.returncode == predict.UNREADABLE, err
    assert "pictures are done; going on with the others" in out
    assert all(line.startswith("df2 predict: /nowhere/x.jpg") for line in err.splitlines()), err

    rows = parquet.read_table(tmp_path / "ray/predictions").sort_by("id").to_pylist()
    assert [row.pop("id") for row in rows] == list(range(len(names)))
    plain = [*common, "--weights", weights[0], "--format", "parquet", "--output", tmp_path]
    assert predict.main([*map(str, plain)]) == predict.UNREADABLE
    expected = parquet.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert any(row["garments"] for row in rows)
    assert rows == expected

    other = [*ray, "--weights", weights[1], "--resume"]
    assert predict.main([*map(str, other)]) == 2
    assert f"were made with model '{rows[0]['model']}'" in capsys.readouterr().err
