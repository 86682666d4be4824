"""What a variational autoencoder says of the likelihood of records, and the records that it makes.

Source: Kingma & Welling 2014; active units as in Burda, Grosse & Salakhutdinov 2016.
Shapes: n rows, l numbers of a code.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from ..config.training import Bce
from ..data.dataset import Array
from ..models.serialization import Saved
from .records import BATCH, decode

ACTIVE = 0.01
"""Variance of a number's mean over records from which it tells them apart."""

SIDE = 8
"""Rows and columns of a grid."""


class Made(NamedTuple):
    """Features of records made of codes, (n, *r) each."""

    samples: Array
    interpolations: Array
    traversals: Array


@torch.inference_mode()
def scores_of_bound(saved: Saved, x: Array, seed: int) -> dict[str, float]:
    """Return the evidence lower bound of raw records x (n, ...), the divergence in it, and the active numbers of codes.

    A Gaussian likelihood has the variance of the errors of these records; of features between 0 and 1 under `bce` it is
    that of Bernoulli's distribution.
    """
    network = saved.model.network
    torch.manual_seed(seed)
    nats, squares, crosses, counts, means = [], [], [], [], []
    for start in range(0, len(x), BATCH):
        features = saved.model.preprocess(torch.from_numpy(x[start : start + BATCH].copy()))
        parts, truth = network.parts(features), network.truth(features)  # type: ignore[operator]
        real = features[..., -1:].expand_as(truth) if network.masked else torch.ones_like(truth)
        square = functional.mse_loss(network.finish(parts.told), truth, reduction="none")  # type: ignore[operator]
        squares.append((square * real).flatten(1).sum(1))
        counts.append(real.flatten(1).sum(1))
        if isinstance(saved.loss, Bce):
            cross = functional.binary_cross_entropy_with_logits(parts.told, truth.clamp(0, 1), reduction="none")
            crosses.append((cross * real).flatten(1).sum(1))
        spread = parts.log_variance
        nats.append((parts.code.square() + spread.exp() - 1 - spread).sum(1) / 2)
        means.append(parts.code)
    square, count, nat, mean = (torch.cat(each).double() for each in (squares, counts, nats, means))
    if crosses:
        likelihood = -torch.cat(crosses).double()
    else:
        variance = float((square.sum() / count.sum()).clamp_min(1e-12))
        likelihood = -(square / variance + count * math.log(2 * math.pi * variance)) / 2
    return {
        "elbo": float((likelihood - nat).mean()),
        "divergence": float(nat.mean()),
        "active": float((mean.var(0) > ACTIVE).sum()) if len(mean) > 1 else 0.0,
    }


def samples_of(saved: Saved, seed: int) -> Made:
    """Return records made of noise, of what lies between two noises, and of single numbers from -3 to 3."""
    latent = saved.network.latent  # type: ignore[union-attr]
    random = np.random.default_rng(seed)
    noise = random.standard_normal((SIDE * SIDE, latent))
    ends = random.standard_normal((2, SIDE, latent))
    share = np.linspace(0, 1, SIDE)[:, None]
    between = np.concatenate([first * (1 - share) + last * share for first, last in zip(*ends, strict=True)])
    numbers = min(latent, SIDE)
    walks = np.zeros((numbers, SIDE, latent))
    walks[np.arange(numbers), :, np.arange(numbers)] = np.linspace(-3, 3, SIDE)
    every = (noise, between, walks.reshape(-1, latent))
    return Made(*(decode(saved.model, codes) for codes in every))
