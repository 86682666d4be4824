"""Several devices that share each batch, a process for each: who they are, and what they tell each other.

Every process goes the same way through its own rows of a batch; gradients are added up once a step. Lightning's DDP
would add them up at each backward call, many in a step that goes through in parts, and would leave the others waiting
for ever where memory ends on one device.
"""

import os
import signal
import threading
from collections.abc import Iterable, Sequence
from datetime import timedelta

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, distributed

from ..stages.rank import by_slurm

PATIENCE = timedelta(minutes=5)
"""How long a process waits for the others before it takes them for lost: at the start they import PyTorch first."""


class Sharing(DDPStrategy):
    """Lightning's strategy for several processes, the module left as it is."""

    def __init__(self) -> None:
        super().__init__(timeout=PATIENCE)

    def configure_ddp(self) -> None:
        """Wrap nothing: `add_up` is all that is needed."""


class Alike(pl.Callback):
    """See to it that all devices begin with the same network, and judge the same one; and that a signal ends them.

    Running statistics of batch norm are each device's own in training; those of the first are judged and kept.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send the first device's network to all, and put back the handler of SIGTERM that Lightning has replaced.

        Lightning's own would wait for the other processes, within the signal.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.handler)
        send(pl_module.state_dict().values())

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send what no gradient moves."""
        send(pl_module.buffers())


def environment() -> ClusterEnvironment:
    """Return how Lightning learns who this process is: from srun, from torchrun, else from what `followers` set."""
    if by_slurm():
        return SLURMEnvironment(auto_requeue=False)
    return TorchElasticEnvironment() if "TORCHELASTIC_RUN_ID" in os.environ else LightningEnvironment()


@torch.no_grad()
def send(tensors: Iterable[Tensor]) -> None:
    """Overwrite `tensors` on every device with those of the first."""
    for tensor in tensors:
        same = tensor.contiguous()
        distributed.broadcast(same, src=0)
        tensor.copy_(same)


@torch.no_grad()
def add_up(weights: Sequence[Tensor]) -> None:
    """Add up the gradients of `weights` over all devices, in one message; one that no device has stays None."""
    learning = [weight for weight in weights if weight.requires_grad]
    parts = [torch.zeros_like(w) if w.grad is None else w.grad for w in learning]
    known = torch.tensor([float(w.grad is not None) for w in learning], device=parts[0].device)
    sent = torch.cat([known, *(part.reshape(-1).float() for part in parts)])
    distributed.all_reduce(sent)
    known, *sums = torch.split(sent, [len(learning), *(part.numel() for part in parts)])
    for weight, part, total, times in zip(learning, parts, sums, known.unbind(), strict=True):
        if weight.grad is not None or times > 0:  # in this order: to look at a number is to wait for the device
            weight.grad = part.copy_(total.view_as(part))
