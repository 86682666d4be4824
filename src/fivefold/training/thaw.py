"""Layers that were taken from a trained model stay as they are at first, then learn, those near the output first.

Source: Howard & Ruder 2018, gradual unfreezing.
"""

import pytorch_lightning as pl

from ..config.training import Start
from ..models.transfer import Layer


class Thaw(pl.Callback):
    """Freeze and free layers as an epoch begins: by its number alone, so that a resumed training does the same.

    Args:
        start: when each layer is set free; None if nothing is taken.

    Attributes:
        layers: those that were taken, from the input on, without the network's last one, which always learns.
    """

    def __init__(self, start: Start | None) -> None:
        self.start = start
        self.layers: list[Layer] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set each layer to what it must be in this epoch."""
        self.set(trainer.current_epoch)

    def set(self, epoch: int) -> None:
        """Set each layer to what it must be in epoch number `epoch`."""
        if self.start is not None:
            for behind, layer in enumerate(reversed(self.layers)):
                layer.freeze(epoch < self.start.freeze + behind * self.start.gradual)
