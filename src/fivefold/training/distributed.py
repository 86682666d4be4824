"""Training on several devices, with one process per device that computes its own rows of each batch.

Gradients are summed once per step. Lightning's DDP would sum them in each backward pass, of which a step with
micro-batches has several, and would leave the other processes waiting forever if one device runs out of memory.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import IO, NoReturn

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, distributed

from ..errors import TrainingError
from ..stages.signals import get_world_size, is_slurm_launch, raise_if_stopped

PROCESS_TIMEOUT = timedelta(minutes=5)
"""Time after which a process that does not respond is considered lost; at the start processes import PyTorch."""


class SharedGradientStrategy(DDPStrategy):
    """Lightning's DDP strategy without its wrapper of the module."""

    def __init__(self) -> None:
        super().__init__(timeout=PROCESS_TIMEOUT)

    def configure_ddp(self) -> None:
        """Do nothing; gradients are summed by `all_reduce_gradients`."""


class SyncWeights(pl.Callback):
    """Give all devices the same initial network and the same buffers in validation, and restore the SIGTERM handler.

    In training each device has its own running statistics of batch norm; those of the first are validated and saved.
    """

    def __init__(self) -> None:
        self.sigterm_handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Broadcast the network of the first device, and restore the SIGTERM handler that Lightning replaced.

        Lightning's handler would wait for the other processes.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.sigterm_handler)
        broadcast(pl_module.state_dict().values())

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Broadcast the buffers."""
        broadcast(pl_module.buffers())


def detect_cluster_environment() -> ClusterEnvironment:
    """Return Lightning's source of the rank: srun, torchrun, or the variables that `launch_workers` sets."""
    if is_slurm_launch():
        return SLURMEnvironment(auto_requeue=False)
    return TorchElasticEnvironment() if "TORCHELASTIC_RUN_ID" in os.environ else LightningEnvironment()


@torch.no_grad()
def broadcast(tensors: Iterable[Tensor]) -> None:
    """Overwrite `tensors` on every device with those of the first."""
    for tensor in tensors:
        same = tensor.contiguous()
        distributed.broadcast(same, src=0)
        tensor.copy_(same)


@torch.no_grad()
def all_reduce_gradients(parameters: Sequence[Tensor]) -> None:
    """Sum the gradients of `parameters` over all devices in one message; a gradient that no device has remains None."""
    learning = [weight for weight in parameters if weight.requires_grad]
    parts = [torch.zeros_like(w) if w.grad is None else w.grad for w in learning]
    known = torch.tensor([float(w.grad is not None) for w in learning], device=parts[0].device)
    sent = torch.cat([known, *(part.reshape(-1).float() for part in parts)])
    distributed.all_reduce(sent)
    known, *sums = torch.split(sent, [len(learning), *(part.numel() for part in parts)])
    for weight, part, total, times in zip(learning, parts, sums, known.unbind(), strict=True):
        if (
            weight.grad is not None or times > 0
        ):  # in this order, because reading the tensor synchronizes with the device
            weight.grad = part.copy_(total.view_as(part))


GRACE_SECONDS = 10.0
"""Seconds in which training can detect a lost worker by itself, or a worker can exit."""


class WorkerProcess:
    """A process that runs the same command as rank `rank`; its stderr is captured."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        module = sys.modules["__main__"].__spec__
        command = [sys.executable, *(["-m", module.name] if module else [sys.argv[0]]), *sys.argv[1:]]
        numbers = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        self.process = subprocess.Popen(command, env=os.environ | numbers, stderr=self.stderr)

    def describe_failure(self) -> str:
        """Return a description of an exit with an error; empty if the process is running or succeeded."""
        code = self.process.poll()
        if not code:
            return ""
        self.stderr.seek(0)
        last = self.stderr.read().decode(errors="replace").strip().rpartition("\n")[2]
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return (
            f"every process of a training must run to its end, but that of device {self.rank} ended {how}"
            f" ({last or 'without output'}); run `dvc repro` again, or choose training.devices 1"
        )

    def stop(self, timeout: float) -> None:
        """Wait for the process to exit, and kill it after `timeout` seconds."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.stderr.close()


@contextmanager
def launch_workers(devices: int, abort: Callable[[], NoReturn]) -> Iterator[None]:
    """Run the training within the context in `devices` processes, unless they were started by another launcher.

    abort: exits this process; called if a worker is lost and the training would wait for it forever.

    Raises:
        TrainingError: a worker is lost; the message has its exit status and its last line.
    """
    if devices == 1 or get_world_size() > 1:
        yield
        return
    before = dict(os.environ)
    os.environ.update(_rendezvous_env(devices))
    started = [WorkerProcess(rank) for rank in range(1, devices)]
    over = threading.Event()
    threading.Thread(target=_watch_workers, args=(started, over, abort), daemon=True, name="worker-watch").start()
    seconds = 0.0
    try:
        yield
        seconds = GRACE_SECONDS
    except RuntimeError as error:  # raised by PyTorch for a broken connection
        raise_if_stopped()
        if lost := _find_failure(started, 2.0):
            raise TrainingError(lost) from error
        raise
    finally:
        over.set()
        for follower in started:
            if not seconds:
                follower.process.terminate()
            follower.stop(GRACE_SECONDS)
        os.environ.clear()
        os.environ.update(before)


def _rendezvous_env(devices: int) -> dict[str, str]:
    """Return the environment variables by which the processes of one machine connect."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    loopback = "lo" if sys.platform == "linux" else "lo0"
    return {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "NODE_RANK": "0",
        "WORLD_SIZE": str(devices),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": loopback,  # otherwise the host name must resolve to an address
    }


def _find_failure(workers: list[WorkerProcess], timeout: float) -> str:
    """Return the failure of the first worker that is lost within `timeout` seconds; empty if there is none."""
    deadline = time.monotonic() + timeout
    while True:
        found = next(filter(None, (follower.describe_failure() for follower in workers)), "")
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _watch_workers(workers: list[WorkerProcess], done: threading.Event, abort: Callable[[], NoReturn]) -> None:
    while not done.wait(0.5):
        found = _find_failure(workers, 0)
        if found and not done.wait(GRACE_SECONDS):
            print(f"error: {found}", file=sys.stderr)
            abort()
