"""Overhead of augmentation in a step of the tutorial CNN, against images augmented one by one as in Keras."""

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.ndimage import affine_transform
from torch import Tensor
from torch.nn import functional

from fivefold.config.augmentation import Augmentation
from fivefold.config.networks.cnn import TutorialCnn
from fivefold.models.cnn.network import build
from fivefold.models.factory import InputSpec
from fivefold.training.augmentation.augmenter import Augmenter

from .measure import Result, finish, table

BATCH, SIDE, CLASSES = 64, 28, 10
ROUNDS = 101
MOVES: dict[str, Any] = {"rotation": 10, "height_shift": 0.1, "width_shift": 0.1, "zoom": 0.1, "horizontal_flip": True}
Augment = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
RECIPES: dict[str, dict[str, Any]] = {
    "flip and crop": {"horizontal_flip": True, "crop_padding": 2},
    "affine": MOVES,
    "erasing": {"erasing": 0.5},
    "mixup": {"mixup": 0.2},
    "cutmix": {"cutmix": 1.0},
    "all": {
        **MOVES,
        "shear": 10,
        "crop_padding": 2,
        "intensity_scale": 0.1,
        "erasing": 0.5,
        "mixup": 0.2,
        "cutmix": 1.0,
    },
}


def one_by_one(images: Tensor) -> Tensor:
    """Apply MOVES to each image, with random draws and matrices composed as in Keras."""
    random = np.random.default_rng()
    augmented = []
    for image in images.numpy():
        angle = np.deg2rad(random.uniform(-10, 10))
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = rotation @ np.diag(random.uniform(0.9, 1.1, 2))
        center = (SIDE - 1) / 2
        offset = center + rotation @ random.uniform(-0.1 * SIDE, 0.1 * SIDE, 2) - matrix @ [center, center]
        moved = [affine_transform(channel, matrix, offset, order=1, mode="nearest") for channel in image]
        augmented.append(np.stack(moved)[:, :, :: random.choice([1, -1])])
    return torch.from_numpy(np.stack(augmented))


def step_of_cnn() -> Callable[[Tensor, Tensor], object]:
    """Return a training step of the tutorial CNN, as in a loop written by hand."""
    network = build(TutorialCnn(family="cnn", architecture="tutorial"), InputSpec((1, SIDE, SIDE), CLASSES)).to(
        memory_format=torch.channels_last
    )
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def step(x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        functional.cross_entropy(network(x.contiguous(memory_format=torch.channels_last)), y).backward()
        optimizer.step()

    return step


def once(augment: Augment, step: Callable[[Tensor, Tensor], object], x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return the seconds of augmenting a batch and of the step with it."""
    started = time.perf_counter()
    batch = augment(x, y)
    augmented = time.perf_counter()
    step(*batch)
    return augmented - started, time.perf_counter() - augmented


def main() -> int:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = torch.rand(BATCH, 1, SIDE, SIDE), torch.randint(CLASSES, (BATCH,))
    step = step_of_cnn()
    methods: dict[str, Augment] = {
        name: Augmenter(Augmentation(**options), classes=CLASSES) for name, options in RECIPES.items()
    }
    methods["affine, one by one"] = lambda x, y: (one_by_one(x), y)
    pairs = [{name: once(augment, step, x, y) for name, augment in methods.items()} for _ in range(ROUNDS)]
    milliseconds = {name: 1e3 * median(pair[name][0] for pair in pairs) for name in methods}
    # per pair, because other load on the machine slows both halves
    ratios = {name: median(1 + pair[name][0] / pair[name][1] for pair in pairs) for name in methods}
    head = (f"{BATCH} images", "augmentation, ms", "step with / without")
    print(table(head, [(name, milliseconds[name], ratios[name]) for name in methods]))
    gain = milliseconds["affine"] / milliseconds["affine, one by one"]
    return finish(
        "augment",
        {"batch": BATCH, "altering_milliseconds": milliseconds, "step_with_per_without": ratios},
        [
            Result("augment_flip_and_crop_step", ratios["flip and crop"], 1.1),
            Result("augment_affine_step", ratios["affine"], 1.15),
            Result("augment_all_step", ratios["all"], 1.3),
            Result("augment_affine_per_one_by_one", gain, 0.33),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
