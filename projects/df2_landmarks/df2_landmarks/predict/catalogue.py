"""A catalogue of pictures on many cores or machines, by Ray Data: from a list to Parquet files.

An output folder holds ``run.json``, the list of pictures (``inputs.parquet``), a row per picture
(``predictions/*.parquet``, `catalogue_schema`), and in ``checkpoint/`` Ray Data's record of the ids
whose rows are written, by which a run goes on after the driver was killed.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from df2_landmarks.common import UserError, num_processors
from df2_landmarks.predict.exports import COMPRESSION, parquet_schema, table_row, write_rows
from df2_landmarks.predict.inputs import Input
from df2_landmarks.predict.journal import begin_run
from df2_landmarks.predict.pipeline import Outputs, predict_lines
from df2_landmarks.predict.predictor import Predictor

RAY_HELP = (
    "--engine ray needs Ray Data: `pip install 'ray[data]'`, or the extra [ray] of df2_landmarks"
)
INPUTS, TABLE, CHECKPOINT = "inputs.parquet", "predictions", "checkpoint"
VIDEO = "{}: a video; --engine ray predicts pictures only, use the plain command for videos"

ROWS_PER_TABLE = 500
"""An actor holds the rows of so many pictures as Python objects, at most."""
MAX_FILES, MAX_ROWS, BLOCKS_PER_ACTOR = 10_000, 1000, 4
SPARE_CPUS = 2
"""Ray needs one beside the actors for reading and writing, and one to filter a resumed list; with
fewer it waits for ever."""
OBJECT_STORE_BYTES = 512 << 20
SECONDS_BETWEEN_LOOKS = 1.0
CONNECT_SECONDS = 10.0
MAX_RESTARTS = 3
"""Of an actor whose process died. Ray's default is to try for ever."""
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # sends nothing out
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its C++ side prints warnings to stderr
}


@dataclass(frozen=True)
class Cluster:
    """Where the actors run.

    Attributes:
        address: of a running Ray cluster, such as "auto"; None: processes of this machine.
        actors: models that work side by side; None: one per GPU, or per CPU if there is no GPU.
    """

    address: str | None = None
    actors: int | None = None


@dataclass(frozen=True)
class Work:
    """What an actor needs. Paths mean the same on all machines.

    Attributes:
        load: arguments of `Predictor.load`.
        fingerprint: of the model that must come out.
        outputs: what is made of each picture.
        batch_size: pictures that pass through the model together, at most.
        workers: threads that read and draw beside the model.
        folder: that relative paths start from.
    """

    load: Mapping[str, Any]
    fingerprint: str
    outputs: Outputs
    batch_size: int
    workers: int
    folder: str


class Row(NamedTuple):
    """What became of a picture, as far as reports need it. Fields as of `Done`."""

    file: str
    error: str
    best_score: float
    found: list[tuple[str, float]]
    is_frame: bool = False


class Catalogue:
    """The output folder of a run with an engine."""

    def __init__(
        self, folder: Path, run: Mapping[str, Any], inputs: Iterable[Input], *, resume: bool
    ) -> None:
        """
        Args:
            folder: of the output; exists.
            run: what decides the results: model, options, what was named as input.
            inputs: pictures. A resumed run takes the list of the first one.
            resume: go on with an earlier run, which must have been the same.

        Raises:
            UserError: there are predictions and ``resume`` is off, or they are of another run, or
                pyarrow is not installed, or the list cannot be written.
        """
        parquet_schema()  # says how to install pyarrow
        self.folder = folder
        self._counted: set[str] = set()
        if begin_run(folder / TABLE, run, resume=resume):
            self._counted = self._written()
        else:
            _write_inputs(folder / INPUTS, inputs)
            (folder / TABLE).mkdir()
        self.num_pictures = _num_rows(folder / INPUTS)
        self.num_done = sum(_num_rows(folder / CHECKPOINT / name) for name in self._counted)

    def new_rows(self) -> Iterator[Row]:
        """Yield the rows written since the last call, without landmarks and masks."""
        for name in sorted(self._written() - self._counted):
            path = self.folder / TABLE / _data_file(name)
            if path.exists():  # a network's file system may show it later than its ids
                self._counted.add(name)
                yield from _read_rows(path)

    def finish(self) -> None:
        """Remove what a dying run has left, and check that each picture has its row.

        Raises:
            UserError: it has not.
        """
        complete = {_data_file(name) for name in self._written()}
        num_rows = 0
        for file in (self.folder / TABLE).glob("*.parquet"):
            if file.name in complete:
                num_rows += _num_rows(file)
            else:
                file.unlink()
        if num_rows != self.num_pictures:
            raise UserError(
                f"{self.folder / TABLE}: has {num_rows} rows for {self.num_pictures} pictures; did "
                "two runs write into it at once? Make it again with --overwrite"
            )

    def _written(self) -> set[str]:
        """Return the names of the files that Ray Data has committed."""
        folder = self.folder / CHECKPOINT
        names = os.listdir(folder) if folder.is_dir() else []
        return {n for n in names if n.endswith(".parquet") and not n.endswith(".pending.parquet")}


def remove_catalogue(folder: Path) -> None:
    """Remove the list, the rows and the checkpoint of an earlier run from its output folder."""
    shutil.rmtree(folder / TABLE, ignore_errors=True)
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    (folder / INPUTS).unlink(missing_ok=True)


def catalogue_schema() -> Any:
    """Return pyarrow's schema of a row: ``id``, the picture's place in the list, and
    `parquet_schema`.

    Raises:
        UserError: pyarrow is not installed.
    """
    schema = parquet_schema()
    import pyarrow

    return pyarrow.schema([("id", pyarrow.int64()), *schema])


def import_ray() -> Any:
    """Return the module ray, with its data part, set to send nothing out and to print little.

    Raises:
        UserError: it is not installed.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
        from ray.util.annotations import RayDeprecationWarning
    except ImportError:
        raise UserError(RAY_HELP, exit_code=2) from None
    # About `max_restarts` below, which nothing replaces: setup.py asks for versions that take it.
    warnings.filterwarnings("ignore", category=RayDeprecationWarning)
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):  # the other one writes Ray's log file
            handler.setLevel(logging.CRITICAL)
    return ray


def predict_catalogue(
    catalogue: Catalogue, work: Work, cluster: Cluster, report: Callable[[Row], None]
) -> None:
    """Predict what the catalogue does not have yet.

    Args:
        catalogue: gets the rows.
        work: what an actor needs.
        cluster: where the actors run.
        report: called with each picture after its row is written, in a thread.

    Raises:
        UserError: Ray is not installed or not reached, the cluster is too small, an actor could not
            start or died again and again, or an output cannot be written.
    """
    if catalogue.num_done == catalogue.num_pictures:
        return
    ray = import_ray()
    with _connected(ray, cluster, work.load.get("device")) as options:
        try:
            with _reported(catalogue, report):
                _write_table(ray, catalogue, work, options)
        except ray.exceptions.RayError as error:
            raise _explained(error) from None
    catalogue.finish()


@contextmanager
def _reported(catalogue: Catalogue, report: Callable[[Row], None]) -> Iterator[None]:
    """Report new rows from time to time, in a thread beside the block, and at its end."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(SECONDS_BETWEEN_LOOKS):
            for row in catalogue.new_rows():
                report(row)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            yield
        finally:
            stop.set()
    looking.result()
    for row in catalogue.new_rows():
        report(row)


def _write_table(ray: Any, catalogue: Catalogue, work: Work, options: _Options) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    checkpoint = ray.data.checkpoint.CheckpointConfig(
        id_column="id",
        checkpoint_path=str((catalogue.folder / CHECKPOINT).resolve()),
        delete_checkpoint_on_success=False,  # a later --resume must know that all is done
    )
    checkpoint.checkpoint_actor_pool_max_size = 1
    context.checkpoint_config = checkpoint
    rows = rows_per_block(catalogue.num_pictures, options.actors)
    ray.data.read_parquet(str((catalogue.folder / INPUTS).resolve())).repartition(
        target_num_rows_per_block=rows
    ).map_batches(
        Actor,
        fn_constructor_args=(work,),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=options.actors),
        num_cpus=1,  # Ray gives it as many threads, and several models do more than several threads
        num_gpus=options.gpus,
        max_restarts=MAX_RESTARTS,
        max_task_retries=MAX_RESTARTS,
    ).write_parquet(str((catalogue.folder / TABLE).resolve()), compression=COMPRESSION)


class Actor:
    """A predictor in a process of Ray."""

    def __init__(self, work: Work) -> None:
        """
        Args:
            work: what it needs.
        """
        self._work = work
        self._schema = catalogue_schema()
        self._predictor: Predictor | None = None
        self._failure = UserError("")
        try:
            self._predictor = _load(work)
        except UserError as error:  # raised here, it would arrive as text within an error of Ray
            self._failure = error

    def __call__(self, inputs: Any) -> Iterator[Any]:
        """Yield the rows of pictures, given rows of ``inputs.parquet``, as tables.

        Raises:
            UserError: this machine does not see the paths, or has another model there, or a drawing
                cannot be written.
        """
        import pyarrow

        if self._predictor is None:
            raise self._failure
        ids = inputs["id"].to_pylist()
        lines = predict_lines(
            self._predictor,
            map(_input, inputs.to_pylist()),
            self._work.outputs,
            batch_size=self._work.batch_size,
            workers=self._work.workers,
        )
        rows: list[dict[str, Any]] = []
        for number, (_, line, _) in zip(ids, lines, strict=True):
            rows.append({"id": number, **table_row(msgspec.json.decode(line))})
            if len(rows) == ROWS_PER_TABLE:
                yield pyarrow.Table.from_pylist(rows, schema=self._schema)
                rows = []
        yield pyarrow.Table.from_pylist(rows, schema=self._schema)


def _load(work: Work) -> Predictor:
    """Load the model on an actor's machine, and check that it is the right one."""
    machine = platform.node()
    try:
        os.chdir(work.folder)
    except OSError as error:
        raise UserError(
            f"{machine} cannot enter {work.folder} ({error.strerror}): all machines must see "
            "pictures, weights and output under the same paths",
            exit_code=2,
        ) from None
    try:
        predictor = Predictor.load(**work.load)
    except UserError as error:
        raise UserError(f"{machine}: {error}", exit_code=error.exit_code) from None
    if predictor.fingerprint != work.fingerprint:
        raise UserError(
            f"{machine} has another model in {work.load['file']} than the machine of the command: "
            f"{predictor.fingerprint} instead of {work.fingerprint}",
            exit_code=2,
        )
    return predictor


def rows_per_block(num_pictures: int, actors: int) -> int:
    """Return how many pictures an actor takes at once; their rows become a file.

    What a block has done is lost if the driver dies before the block ends. So blocks are small,
    but there are `MAX_FILES` files at most, and a few blocks per actor.
    """
    share = -(-num_pictures // (actors * BLOCKS_PER_ACTOR))
    return max(1, min(MAX_ROWS, share), -(-num_pictures // MAX_FILES))


@dataclass(frozen=True)
class _Options:
    """Number of actors, and GPUs of each."""

    actors: int
    gpus: float


@contextmanager
def _connected(ray: Any, cluster: Cluster, device: str | None) -> Iterator[_Options]:
    """Start Ray on this machine, or connect to a cluster; disconnect in the end."""
    try:
        if cluster.address is None:
            options = _local_options(cluster, device)
            _start(
                ray,
                address="local",
                num_cpus=options.actors + SPARE_CPUS,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
            )
        else:
            _start(ray, address=cluster.address)
            options = _cluster_options(ray.cluster_resources(), cluster, device)
        yield options
    finally:
        ray.shutdown()


def _start(ray: Any, *, address: str, **settings: Any) -> None:
    try:
        _check_address(address)
        with _stderr_hidden():
            ray.init(
                address=address, log_to_driver=False, logging_level=logging.CRITICAL, **settings
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"Ray, --address {address}: {error}", exit_code=2) from error


def _check_address(address: str) -> None:
    """Try to connect: where nobody listens, Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and "//" not in host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


@contextmanager
def _stderr_hidden() -> Iterator[None]:
    """Hide what Ray's C++ side prints while it starts; its errors are raised in Python."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _local_options(cluster: Cluster, device: str | None) -> _Options:
    import torch

    gpus = 0 if device == "cpu" else torch.cuda.device_count()
    actors = cluster.actors or gpus or num_processors()
    return _Options(actors, min(1, gpus / actors))


def _cluster_options(
    resources: Mapping[str, float], cluster: Cluster, device: str | None
) -> _Options:
    gpus = 0 if device == "cpu" else resources.get("GPU", 0)
    cpus = int(resources.get("CPU", 0)) - SPARE_CPUS
    actors = cluster.actors or int(gpus) or cpus
    if actors > cpus or actors < 1:
        raise UserError(
            f"--actors {max(actors, 1)}: the cluster needs {max(actors, 1) + SPARE_CPUS} CPUs for "
            f"that, but has {cpus + SPARE_CPUS}: {SPARE_CPUS} are for reading and writing",
            exit_code=2,
        )
    return _Options(actors, min(1, gpus / actors))


def _explained(error: BaseException) -> BaseException:
    """Return an error of Ray as a `UserError` if it is one inside, or a process that died."""
    from ray.exceptions import ActorDiedError, ActorUnavailableError

    cause: BaseException | None = error
    while cause is not None:
        if type(cause) is UserError:  # Ray has appended lines of its own
            return UserError(str(cause).splitlines()[0], exit_code=cause.exit_code)
        if isinstance(cause, (ActorDiedError, ActorUnavailableError)):
            return UserError(
                f"a process that predicts was ended from outside {MAX_RESTARTS + 1} times, perhaps "
                "for lack of memory: try fewer --actors or a smaller --batch, and --resume",
                exit_code=2,
            )
        if isinstance(cause, OSError):
            return UserError(str(cause).splitlines()[0], exit_code=2)
        cause = getattr(cause, "cause", None) or cause.__cause__
    return error


def _write_inputs(path: Path, inputs: Iterable[Input]) -> None:
    """Write the list of pictures, numbered from 0. Paths are bytes: they need not be UTF-8."""
    import pyarrow

    schema = pyarrow.schema(
        [
            ("id", pyarrow.int64()),
            ("path", pyarrow.binary()),
            ("name", pyarrow.binary()),
            ("error", pyarrow.string()),
        ]
    )
    write_rows(path, schema, starmap(_input_row, enumerate(inputs)))


def _input_row(number: int, entry: Input) -> dict[str, Any]:
    error = VIDEO.format(entry.path) if entry.is_video else entry.error
    return {
        "id": number,
        "path": os.fsencode(entry.path),
        "name": os.fsencode(entry.name),
        "error": error.encode("utf-8", "backslashreplace").decode(),
    }


def _input(row: dict[str, Any]) -> Input:
    return Input(os.fsdecode(row["path"]), os.fsdecode(row["name"]), row["error"])


def _data_file(checkpoint: str) -> str:
    """Return the file of the rows whose ids are in a file of the checkpoint."""
    return checkpoint.removesuffix(".parquet") + "-0.parquet"


def _num_rows(path: Path) -> int:
    from pyarrow import parquet

    return int(parquet.read_metadata(path).num_rows)


def _read_rows(path: Path) -> Iterator[Row]:
    from pyarrow import parquet

    garments = [f"garments.list.element.{key}" for key in ("category", "score")]
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["file", "error", "best_score", *garments]):
            for row in batch.to_pylist():
                found = [(g["category"], g["score"]) for g in row["garments"] or []]
                yield Row(row["file"], row["error"] or "", row["best_score"] or 0.0, found)
