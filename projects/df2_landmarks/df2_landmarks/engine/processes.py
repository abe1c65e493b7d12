"""Start the processes of a run, or join those that torchrun has started.

A process per GPU; on CPUs one per machine, or as many as torchrun starts. Groups of processes,
rendezvous and restarts are PyTorch's (torch.distributed, torchrun).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from detectron2.utils import comm
from torch.distributed.rendezvous import rendezvous

from df2_landmarks.common import UserError

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Variables of the environment by which torchrun tells a process its place."""
JOIN_MINUTES = 10.0
"""How long the machines of a run wait for each other at the start."""
EXCHANGE_TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others in an exchange: longer than the score of an evaluation,
which the main process computes alone. Detectron2's default."""

DRIVER = Path("/proc/driver/nvidia/version")
"""There where Linux has a driver of NVIDIA."""
LOST = "lost"
"""Key of the store for the process that was lost first."""

Run = Callable[[argparse.Namespace], Any]


class Place(NamedTuple):
    """Where a process stands among those of a run.

    Attributes:
        rank: 0-based number among all processes.
        world_size: number of all processes.
        local_rank: 0-based number on its machine, and of its GPU.
        local_size: number of processes on each machine.
    """

    rank: int
    world_size: int
    local_rank: int
    local_size: int


def launch(run: Run, args: argparse.Namespace) -> None:
    """Call ``run(args)`` in every process of a run on this machine.

    Args:
        run: the work of one process; a function of a module.
        args: of `engine.argument_parser`; ``num_gpus`` None is resolved, and ``resume`` set where
            torchrun has restarted the processes.

    Raises:
        UserError: the arguments contradict each other or the machine, the machines do not find each
            other, or a process was lost. With several processes, the first one's mistake.
    """
    environ = os.environ
    if set(TORCHRUN) <= environ.keys():
        _join_torchrun(run, args, environ)
        return
    tasks = environ.get("SLURM_STEP_NUM_TASKS", "1")
    if tasks != "1" and args.num_machines == 1:
        raise UserError(
            f"srun has started {tasks} tasks, which would be as many separate runs. Start one "
            "torchrun per machine: docs/examples/train.slurm"
        )
    args.num_gpus = resolve_num_gpus(args.num_gpus)
    check_machines(args)
    local_size = max(1, args.num_gpus)
    if args.num_machines * local_size == 1:
        run(args)
        return
    store = _meet(args)
    user_errors = mp.get_context("spawn").SimpleQueue()
    try:
        mp.spawn(_child, (run, args, store.host, store.port, user_errors), nprocs=local_size)
    except (mp.ProcessRaisedException, mp.ProcessExitedException) as error:
        if not user_errors.empty():
            raise user_errors.get() from None
        if isinstance(error, mp.ProcessExitedException):
            how = f"was killed by {error.signal_name}" if error.signal_name else "ended early"
            lost = f"process {error.error_index} of machine {args.machine_rank} {how}"
            with suppress(dist.DistError):  # machine 0 may be gone, too
                store.set(LOST, lost)
        elif args.num_machines == 1 or not (lost := _lost_elsewhere(store)):
            raise
        raise UserError(
            f"{lost}; the others were stopped. If memory ran out, lower SOLVER.IMS_PER_BATCH or "
            "DATALOADER.NUM_WORKERS; --resume continues from the last checkpoint"
        ) from None


def _lost_elsewhere(store: dist.TCPStore) -> str:
    """Return which process of another machine was lost; "" if none."""
    try:
        store.wait([LOST], timedelta(seconds=5))
        return store.get(LOST).decode()
    except dist.DistNetworkError:  # the store is gone with machine 0
        return "machine 0 ended"
    except dist.DistError:
        return ""


def resolve_num_gpus(num_gpus: int | None) -> int:
    """Return the number of GPUs to use; by default one GPU if there is any.

    Raises:
        UserError: there are not that many.
    """
    available = torch.cuda.device_count()
    if num_gpus is None:
        return min(1, available)
    if num_gpus < 0:
        raise UserError(f"--num-gpus must be 0 (CPU) or more, but got {num_gpus}")
    if num_gpus > available:
        raise UserError(
            f"--num-gpus {num_gpus}: this machine has {available} GPUs{_why_no_gpu(available)}. "
            f"Use GPUS={available} (--num-gpus {available})"
            + ("; 0 trains on the CPU" if available == 0 else "")
        )
    return num_gpus


def _why_no_gpu(available: int) -> str:
    """Return torch's reason where the machine has a GPU that torch cannot use, such as its driver;
    else ""."""
    if available or not DRIVER.exists():
        return ""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())
        return (
            f" that torch {torch.__version__} can use ({reason}). Update the driver, or install a "
            "torch for the driver into an environment of your own, and name its Python: make ... "
            "PYTHON=PATH"
        )
    return ""


def check_machines(args: argparse.Namespace) -> None:
    """Check the options for several machines.

    Raises:
        UserError: one of them is out of its range, or they contradict each other.
    """
    machines, rank = args.num_machines, args.machine_rank
    if machines < 1:
        raise UserError(f"--num-machines must be 1 or more, but got {machines}")
    if not 0 <= rank < machines:
        raise UserError(
            f"--machine-rank must be 0 to {machines - 1}, the number of this machine among the "
            f"--num-machines {machines}, but got {rank}"
        )
    if machines == 1:
        return
    if _address(args.dist_url) is None:
        raise UserError(
            f"--num-machines {machines} needs --dist-url tcp://HOST:PORT, the same on every "
            f"machine: a name or address of machine 0 and a free port there; got {args.dist_url}"
        )


def _address(url: str | None) -> tuple[str, int] | None:
    """Return host and port of tcp://HOST:PORT; None if it is not of that form."""
    try:
        parts = urlsplit(url or "")
        if parts.scheme == "tcp" and parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:  # the port is not a number of 0..65535
        pass
    return None


def _meet(args: argparse.Namespace) -> dist.TCPStore:
    """Return the store by which the processes find each other, once all machines have it.

    Raises:
        UserError: a machine is missing after `JOIN_MINUTES`, or they do not agree.
    """
    machines, rank = args.num_machines, args.machine_rank
    host, port = _address(args.dist_url) or ("127.0.0.1", 0)
    limit = timedelta(minutes=args.join_minutes)
    try:
        store = dist.TCPStore(
            host, port, is_master=rank == 0, wait_for_workers=False, timeout=limit
        )
    except (dist.DistError, ValueError) as error:
        what = (
            f"machine 0 cannot listen on {host}:{port}: is the port in use?"
            if rank == 0
            else f"machine {rank} has not reached machine 0 at {host}:{port} in "
            f"{args.join_minutes:g} minutes: does it run, and does a firewall close the port?"
        )
        raise UserError(f"--dist-url: {what} ({' '.join(str(error).split())[:200]})") from error
    if machines == 1:
        return store
    if store.add(f"machine {rank}", 1) > 1:
        raise UserError(f"--machine-rank {rank}: another machine has the same number")
    about = f"--num-machines {machines} and --num-gpus {args.num_gpus}"
    store.set(f"about {rank}", about)
    keys = [f"about {number}" for number in range(machines)]
    try:
        store.wait(keys, limit)
    except dist.DistError as error:
        missing = [str(number) for number, key in enumerate(keys) if not store.check([key])]
        names = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise UserError(
            f"{len(missing)} of the {machines} machines have not come in {args.join_minutes:g} "
            f"minutes: {names}. Start the same command there, with --machine-rank {missing[0]}"
        ) from error
    others = {store.get(key).decode() for key in keys} - {about}
    if others:
        raise UserError(f"machine {rank} was started with {about}, others with {others.pop()}")
    return store


def _child(
    local_rank: int, run: Run, args: argparse.Namespace, host: str, port: int, user_errors: Any
) -> None:
    """Run one process; put a user's mistake into the queue before raising it."""
    local_size = max(1, args.num_gpus)
    rank = args.machine_rank * local_size + local_rank
    place = Place(rank, args.num_machines * local_size, local_rank, local_size)
    try:
        store = dist.TCPStore(host, port, is_master=False, wait_for_workers=False)
        with _process_group(place, on_cpu=args.num_gpus == 0, store=store):
            run(args)
    except UserError as error:
        user_errors.put(error)
        raise


def _join_torchrun(run: Run, args: argparse.Namespace, environ: Mapping[str, str]) -> None:
    place = Place(*(int(environ[name]) for name in TORCHRUN[:4]))
    if args.num_machines != 1 or args.machine_rank != 0:
        raise UserError(
            "torchrun has started this process: give --nnodes and --node-rank to torchrun, and "
            "neither --num-machines nor --machine-rank"
        )
    available = torch.cuda.device_count()
    on_cpu = args.num_gpus == 0 or (args.num_gpus is None and available == 0)
    if not on_cpu and place.local_size > available:
        raise UserError(
            f"torchrun has started {place.local_size} processes on this machine, which has "
            f"{available} GPUs: --nproc-per-node {available}, or --num-gpus 0 to use the CPU"
        )
    if args.num_gpus not in (None, 0, place.local_size):
        raise UserError(
            f"--num-gpus {args.num_gpus}, but torchrun has started {place.local_size} processes on "
            "this machine: leave --num-gpus out"
        )
    args.num_gpus = 0 if on_cpu else place.local_size
    restarts = int(environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    if restarts and not args.eval_only and not args.dry_run:
        args.resume = True
    # Restarted processes find the store as the lost ones left it.
    store = dist.PrefixStore(f"attempt {restarts}", next(rendezvous("env://"))[0])
    with _process_group(place, on_cpu=on_cpu, store=store):
        run(args)


@contextmanager
def _process_group(place: Place, *, on_cpu: bool, store: dist.Store) -> Iterator[None]:
    """Join PyTorch's default group and Detectron2's group of this machine; leave them at the end.

    Args:
        place: of this process.
        on_cpu: exchange by gloo, else by NCCL.
        store: where the processes find each other.
    """
    if not on_cpu:
        torch.cuda.set_device(place.local_rank)
    dist.init_process_group(
        "gloo" if on_cpu else "nccl",
        store=store,
        rank=place.rank,
        world_size=place.world_size,
        timeout=EXCHANGE_TIMEOUT,
    )
    _make_local_group(place)
    comm.synchronize()
    yield
    # Together, as gloo aborts where another process has left; not after an error, as one may be
    # gone, and gloo would wait for it.
    comm.synchronize()
    dist.destroy_process_group()


def _make_local_group(place: Place) -> None:
    if hasattr(comm, "create_local_process_group"):  # Detectron2 after v0.5
        comm.create_local_process_group(place.local_size)
        return
    for first in range(0, place.world_size, place.local_size):
        group = dist.new_group(list(range(first, first + place.local_size)))
        if first <= place.rank < first + place.local_size:
            comm._LOCAL_PROCESS_GROUP = group
