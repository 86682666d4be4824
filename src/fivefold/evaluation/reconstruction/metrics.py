"""Numbers that say how well records are told from codes.

Shapes: n rows, f features of a record, flat, l numbers of a code.

How much of the noise a denoising autoencoder takes away.

Source: SSIM of Wang et al. 2004, as torchmetrics computes it.

What a variational autoencoder says of the likelihood of records, and the records that it makes.

Source: Kingma & Welling 2014; active units as in Burda, Grosse & Salakhutdinov 2016.
Shapes: n rows, l numbers of a code.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ...data.dataset import Array
from ...models.inference import Deployed

if TYPE_CHECKING:
    from sklearn.decomposition import PCA
import math
from dataclasses import replace
from importlib import import_module
from typing import NamedTuple

from torch.nn import functional

from ...config.networks.autoencoder import Denoising
from ...config.training import Bce
from ...models.serialization import Saved

BATCH = 1024
"""Rows at a time."""

FITTED = 20_000
"""Training rows at most that a PCA is fitted on."""


@dataclass(frozen=True)
class Told:
    """Features of rows (n, *r), what is told of them, their codes (n, l), and which numbers are real; None: all."""

    truth: Array
    told: Array
    codes: Array
    real: Array | None

    @property
    def errors(self) -> Array:
        """Mean squared error of each row over what is real, (n,)."""
        return errors_of(self.truth, self.told, self.real)

    @property
    def mean(self) -> Array:
        """The mean record, (*r), over what is real."""
        if self.real is None:
            return np.asarray(self.truth.mean(0, dtype=np.float64))
        return np.asarray((self.truth * self.real).sum(0) / np.maximum(self.real.sum(0), 1))

    def take(self, keep: Array) -> "Told":
        """Return some of the rows: indices, or a mask (n,)."""
        real = None if self.real is None else self.real[keep]
        return Told(self.truth[keep], self.told[keep], self.codes[keep], real)

    @property
    def flat(self) -> Array:
        """Features (n, f), 0 where nothing is real."""
        truth = self.truth if self.real is None else self.truth * self.real
        return truth.reshape(len(truth), -1)


@torch.inference_mode()
def tell(model: Deployed, x: Array, noise: nn.Module | None = None, seed: int = 0) -> Told:
    """Return what the network of `model` tells of raw records x (n, ...), first spoilt by `noise` if that is given."""
    network = model.network
    generator = torch.Generator().manual_seed(seed)
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []
    for start in range(0, len(x), BATCH):
        features = model.preprocess(torch.from_numpy(x[start : start + BATCH].copy()))
        seen = features if noise is None else noise.spoil(features, generator)  # type: ignore[operator]
        codes = network.encode(seen)  # type: ignore[operator]
        real = features[..., -1:] if network.masked else None
        parts.append((network.truth(features), network.decode(codes), codes, real))  # type: ignore[operator]
    truth, told, codes, real = zip(*parts, strict=True)
    masked = None if real[0] is None else torch.cat(real).numpy()
    return Told(torch.cat(truth).numpy(), torch.cat(told).numpy(), torch.cat(codes).numpy(), masked)


@torch.inference_mode()
def decode(model: Deployed, codes: Array) -> Array:
    """Return the features (n, *r) that codes (n, l) stand for."""
    every = torch.split(torch.from_numpy(codes.astype(np.float32)), BATCH)
    return torch.cat([model.network.decode(part) for part in every]).numpy()  # type: ignore[operator]


def errors_of(truth: Array, told: Array, real: Array | None) -> Array:
    """Return the mean squared error of each row, (n,), over what is real."""
    square = (truth.astype(np.float64) - told) ** 2
    if real is None:
        return np.asarray(square.reshape(len(square), -1).mean(axis=1))
    every = np.broadcast_to(real, square.shape)
    over = tuple(range(1, square.ndim))
    return np.asarray((square * every).sum(over) / np.maximum(every.sum(over), 1))


@dataclass(frozen=True)
class Linear:
    """The best that straight lines can do: a PCA of as many components as a code; told: the shape of a record."""

    pca: "PCA"
    told: tuple[int, ...]

    @classmethod
    def fit(cls, train: Told, seed: int) -> "Linear":
        """Fit it to training rows."""
        from sklearn.decomposition import PCA  # paid for by models that tell records alone

        flat = train.flat[:: max(1, -(-len(train.flat) // FITTED))].astype(np.float64)
        size = min(train.codes.shape[1], *flat.shape)
        return cls(PCA(size, random_state=seed).fit(flat), train.truth.shape[1:])

    def codes(self, rows: Told) -> Array:
        """Return the components (n, l) of rows."""
        return np.asarray(self.pca.transform(rows.flat.astype(np.float64)))

    def tell(self, codes: Array) -> Array:
        """Return the features (n, *r) that components (n, l) stand for."""
        return np.asarray(self.pca.inverse_transform(codes).reshape(len(codes), *self.told))

    def errors(self, rows: Told) -> Array:
        """Return the mean squared error of each row, (n,)."""
        return errors_of(rows.truth, self.tell(self.codes(rows)), rows.real)


SMALLEST = 11
"""Side of an image from which SSIM's window fits into it."""


def noise_of(saved: Saved, variant: Denoising, truth: Array) -> nn.Module:
    """Return the noise that a model was trained with; its extremes are those of `truth`."""
    kind = import_module(f"fivefold.models.{saved.network.family}.noise").Noise
    noise: nn.Module = kind(variant, masked=saved.model.network.masked, low=float(truth.min()), high=float(truth.max()))
    return noise


def scores_of_noise(saved: Saved, variant: Denoising, x: Array, linear: Linear, seed: int) -> dict[str, float]:
    """Return PSNR, and of images SSIM, of spoilt raw records x (n, ...) and of what is told of them, against x.

    linear: a PCA of clean records, which takes noise away too.
    """
    clean = tell(saved.model, x)
    noise = noise_of(saved, variant, clean.truth)
    noisy = spoilt(saved, noise, x, seed)
    told = tell(saved.model, x, noise, seed).told
    span = float(clean.truth.max() - clean.truth.min())
    straight = linear.tell(linear.codes(replace(clean, truth=noisy)))
    before, after, by_pca = (
        float(10 * np.log10(span**2 / errors_of(clean.truth, each, clean.real).mean()))
        for each in (noisy, told, straight)
    )
    found = {"gain": after - before, "pca_gain": by_pca - before, "psnr": after, "psnr_noisy": before}
    if saved.schema.kind == "images" and min(clean.truth.shape[2:]) >= SMALLEST:
        found |= {"ssim": _ssim(told, clean.truth, span), "ssim_noisy": _ssim(noisy, clean.truth, span)}
    return found


def spoilt(saved: Saved, noise: nn.Module, x: Array, seed: int) -> Array:
    """Return the features of raw records x (n, ...) as `records.tell` spoils them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        parts = [
            saved.model.network.truth(  # type: ignore[operator]
                noise.spoil(  # type: ignore[operator]
                    saved.model.preprocess(torch.from_numpy(x[i : i + BATCH].copy())), generator
                )
            )
            for i in range(0, len(x), BATCH)
        ]
    return torch.cat(parts).numpy()


def _ssim(told: Array, truth: Array, span: float) -> float:
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    pairs = zip(*(torch.split(torch.from_numpy(each), BATCH) for each in (told, truth)), strict=True)
    each = [ssim(one, other, data_range=span, reduction="none") for one, other in pairs]
    return float(torch.cat([part.reshape(-1) for part in each]).mean())  # type: ignore[union-attr]


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
