"""Layers that were taken from a trained model stay as they are at first, then learn, those near the output first.

Source: Howard & Ruder 2018, gradual unfreezing.
"""

import pytorch_lightning as pl

from ..families.depth import Layer
from ..params.start import Start


class Thaw(pl.Callback):
    """Freeze and free layers as an epoch begins: by its number alone, so that a resumed training does the same.

    Args:
        layers: those that were taken, from the input on, without the network's last one, which always learns.
        start: when each of them is set free.
    """

    def __init__(self, layers: list[Layer], start: Start) -> None:
        self.layers = layers
        self.start = start

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set each layer to what it must be in this epoch."""
        for behind, layer in enumerate(reversed(self.layers)):
            layer.freeze(trainer.current_epoch < self.start.freeze + behind * self.start.gradual)
