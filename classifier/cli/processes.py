"""Checks of the processes that a launcher has started, and a message while they wait for each other."""

import atexit
import contextlib
import os
import threading
from collections.abc import Callable, Iterator

import lightning as L
import torch
from lightning.pytorch.plugins.environments import (
    ClusterEnvironment,
    LSFEnvironment,
    MPIEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from classifier.cli.signals import exit_if_blocked
from classifier.errors import UserError, first_line, require

# In Lightning's order. It also detects them, but only keeps the one of a strategy for several processes.
ENVIRONMENTS = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment)
SECONDS_UNTIL_MESSAGE = 10.0  # processes on one machine find each other within 5 s


def check_processes(trainer: L.Trainer, is_sweep: bool, creates_run: bool) -> None:
    """Check the number of started processes.

    Args:
        trainer: The Trainer.
        is_sweep: Whether `--seeds` or `--sweep` trains several runs.
        creates_run: Whether every run creates a folder.

    Raises:
        SettingError: The number differs from the one that the Trainer's settings ask for, or there are several runs
            and either several processes or no folder for a run.
        ValueError: The launcher has started another number of processes per node, or on another number of nodes.
    """
    environment = find_environment(trainer)
    # Not `trainer.world_size`: Lightning shards the data by this product.
    asked = trainer.num_nodes * trainer.num_devices
    for source, started in count_started_processes(environment).items():
        require(
            started == asked,
            f"{started} processes were started ({source}), but --trainer.devices and --trainer.num_nodes ask for "
            f"{asked}: make them agree",
        )
    if environment is not None:
        environment.validate_settings(num_devices=trainer.num_devices, num_nodes=trainer.num_nodes)
    require(
        not is_sweep or (asked == 1 and creates_run),
        "--seeds and --sweep train in one process and keep their runs: leave out --trainer.devices and "
        "--trainer.logger false, or start every run by itself, with a --seed_everything of its own",
    )


def find_environment(trainer: L.Trainer) -> ClusterEnvironment | None:
    """Return the environment that describes this process, or None if it was started by itself."""
    environment: ClusterEnvironment | None = getattr(trainer.strategy, "cluster_environment", None)
    return environment or next((kind() for kind in ENVIRONMENTS if kind.detect()), None)


def count_started_processes(environment: ClusterEnvironment | None) -> dict[str, int]:
    """Return the number of processes that a launcher such as srun or torchrun has started, by the source."""
    counts = {}
    if environment is not None and environment.creates_processes_externally:
        counts[type(environment).__name__] = environment.world_size()
    if "WORLD_SIZE" in os.environ:  # set by launchers that Lightning does not detect, such as that of Kubeflow
        counts["WORLD_SIZE"] = int(os.environ["WORLD_SIZE"])
    return counts


@contextlib.contextmanager
def wait_for_processes(trainer: L.Trainer, before_exit: Callable[[], object]) -> Iterator[None]:
    """Open a context in which the processes of a run can wait for each other.

    A line is printed if they have not found each other after 10 seconds, and a process that waits can be stopped.

    Args:
        trainer: The Trainer. If it uses only one process, the context does nothing.
        before_exit: Called before a process that waits exits because of a signal.

    Raises:
        UserError: The processes do not find each other, or one of them has ended.
    """
    if trainer.world_size == 1:
        yield
        return
    timer = threading.Timer(SECONDS_UNTIL_MESSAGE, announce_waiting, args=(trainer,))
    timer.daemon = True
    if trainer.local_rank == 0:
        timer.start()
    try:
        with report_lost_processes(before_exit):
            yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def report_lost_processes(before_exit: Callable[[], object]) -> Iterator[None]:
    """Open a context in which processes can be started that wait for each other, and can be stopped meanwhile.

    Args:
        before_exit: Called before a process that waits exits because of a signal.

    Raises:
        UserError: The processes do not find each other, or one of them has ended.
    """
    # Lightning does this for GPUs only. On CPUs, 5 of 25 runs aborted while the interpreter exited.
    atexit.register(destroy_process_group)
    try:
        with exit_if_blocked(before_exit):
            yield
    except RuntimeError as error:
        # Those of Gloo, PyTorch's backend on CPUs, have no type of their own.
        if isinstance(error, torch.distributed.DistError) or "gloo" in str(error):
            raise UserError(
                "another process of this run has ended or cannot be reached; if it has printed an error, that is the "
                f"cause: {first_line(error)}"
            ) from error
        raise


def destroy_process_group() -> None:
    """End the communication with other processes, if there is any."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def announce_waiting(trainer: L.Trainer) -> None:
    """Print for how many processes this one waits, and where, unless all of them have started."""
    if not torch.distributed.is_initialized():
        environment: ClusterEnvironment | None = getattr(trainer.strategy, "cluster_environment", None)
        address = f" at {environment.main_address}:{environment.main_port}" if environment else ""
        print(f"waiting for {trainer.world_size} processes on {trainer.num_nodes} nodes{address}", flush=True)
