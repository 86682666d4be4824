"""Several devices that share each batch, a process for each: who they are, and what they tell each other.

Every process goes the same way through its own rows of a batch; gradients are added up once a step. Lightning's DDP
would add them up at each backward call, many in a step that goes through in parts, and would leave the others waiting
for ever where memory ends on one device.

The processes that take part in a training beside this one: started, watched and ended here.
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
"""How long a process waits for the others before it takes them for lost: at the start they import PyTorch first."""


class SharedGradientStrategy(DDPStrategy):
    """Lightning's strategy for several processes, the module left as it is."""

    def __init__(self) -> None:
        super().__init__(timeout=PROCESS_TIMEOUT)

    def configure_ddp(self) -> None:
        """Wrap nothing: `add_up` is all that is needed."""


class SyncWeights(pl.Callback):
    """See to it that all devices begin with the same network, and judge the same one; and that a signal ends them.

    Running statistics of batch norm are each device's own in training; those of the first are judged and kept.
    """

    def __init__(self) -> None:
        self.sigterm_handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send the first device's network to all, and put back the handler of SIGTERM that Lightning has replaced.

        Lightning's own would wait for the other processes, within the signal.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.sigterm_handler)
        broadcast(pl_module.state_dict().values())

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send what no gradient moves."""
        broadcast(pl_module.buffers())


def detect_cluster_environment() -> ClusterEnvironment:
    """Return how Lightning learns who this process is: from srun, from torchrun, else from what `followers` set."""
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
    """Add up the gradients of `weights` over all devices, in one message; one that no device has stays None."""
    learning = [weight for weight in parameters if weight.requires_grad]
    parts = [torch.zeros_like(w) if w.grad is None else w.grad for w in learning]
    known = torch.tensor([float(w.grad is not None) for w in learning], device=parts[0].device)
    sent = torch.cat([known, *(part.reshape(-1).float() for part in parts)])
    distributed.all_reduce(sent)
    known, *sums = torch.split(sent, [len(learning), *(part.numel() for part in parts)])
    for weight, part, total, times in zip(learning, parts, sums, known.unbind(), strict=True):
        if weight.grad is not None or times > 0:  # in this order: to look at a number is to wait for the device
            weight.grad = part.copy_(total.view_as(part))


GRACE_SECONDS = 10.0
"""Seconds that the training has to find out by itself that a follower is gone, or a follower to end."""


class WorkerProcess:
    """The same command once more, as process `rank` of the training; what it says is kept, not shown."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        module = sys.modules["__main__"].__spec__
        command = [sys.executable, *(["-m", module.name] if module else [sys.argv[0]]), *sys.argv[1:]]
        numbers = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        self.process = subprocess.Popen(command, env=os.environ | numbers, stderr=self.stderr)

    def describe_failure(self) -> str:
        """Say how it ended if that was not as it should; else an empty line."""
        code = self.process.poll()
        if not code:
            return ""
        self.stderr.seek(0)
        last = self.stderr.read().decode(errors="replace").strip().rpartition("\n")[2]
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return (
            f"every process of a training must go on to its end, but that of device {self.rank} ended {how}"
            f" ({last or 'it said nothing'}); run `dvc repro` again, or choose training.devices 1"
        )

    def stop(self, timeout: float) -> None:
        """Have it end within `seconds`, by force if it does not."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.stderr.close()


@contextmanager
def launch_workers(devices: int, abort: Callable[[], NoReturn]) -> Iterator[None]:
    """Have `devices` processes train what is trained within; nothing to do for one, or where others started them.

    give_up: ends this process; called where a follower is gone and the training waits for it for ever.

    Raises:
        TrainingError: a follower is gone; says how it ended, and its last line.
    """
    if devices == 1 or get_world_size() > 1:
        yield
        return
    before = dict(os.environ)
    os.environ.update(_rendezvous_env(devices))
    started = [WorkerProcess(rank) for rank in range(1, devices)]
    over = threading.Event()
    threading.Thread(target=_watch_workers, args=(started, over, abort), daemon=True, name="followers").start()
    seconds = 0.0
    try:
        yield
        seconds = GRACE_SECONDS
    except RuntimeError as error:  # what a broken connection is to PyTorch
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
    """Return where the processes of one machine meet, as PyTorch is told it."""
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
        "GLOO_SOCKET_IFNAME": loopback,  # else the machine's own name must lead to an address
    }


def _find_failure(workers: list[WorkerProcess], timeout: float) -> str:
    """Return what is to say of the first follower that is gone; waits so long for one to be."""
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
