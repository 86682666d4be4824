"""Numbers that say how well records are told from codes.

Shapes: n rows, f features of a record, flat, l numbers of a code.

How much of the noise a denoising autoencoder takes away.

Source: SSIM of Wang et al. 2004, as torchmetrics computes it.

What a variational autoencoder says of the likelihood of records, and the records that it makes.

Source: Kingma & Welling 2014; active units as in Burda, Grosse & Salakhutdinov 2016.
Shapes: n rows, l numbers of a code.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from ...data.dataset import Array
from ...models.inference import InferenceModel

if TYPE_CHECKING:
    from sklearn.decomposition import PCA
import math
from dataclasses import replace
from typing import NamedTuple

from torch.nn import functional

from ...config.networks.autoencoder import DenoisingVariant
from ...config.training import BCELoss
from ...models.autoencoder.network import AutoencoderNetwork
from ...models.autoencoder.noise import Noise
from ...models.serialization import TrainedModel

BATCH_SIZE = 1024
"""Rows at a time."""

MAX_PCA_ROWS = 20_000
"""Training rows at most that a PCA is fitted on."""


@dataclass(frozen=True)
class Reconstruction:
    """Features of rows (n, *r), what is told of them, their codes (n, l), and which numbers are real; None: all."""

    original: Array
    reconstructed: Array
    codes: Array
    mask: Array | None

    @property
    def errors(self) -> Array:
        """Mean squared error of each row over what is real, (n,)."""
        return reconstruction_errors(self.original, self.reconstructed, self.mask)

    @property
    def mean(self) -> Array:
        """The mean record, (*r), over what is real."""
        if self.mask is None:
            return np.asarray(self.original.mean(0, dtype=np.float64))
        return np.asarray((self.original * self.mask).sum(0) / np.maximum(self.mask.sum(0), 1))

    def take(self, indices: Array) -> "Reconstruction":
        """Return some of the rows: indices, or a mask (n,)."""
        real = None if self.mask is None else self.mask[indices]
        return Reconstruction(self.original[indices], self.reconstructed[indices], self.codes[indices], real)

    @property
    def flat_features(self) -> Array:
        """Features (n, f), 0 where nothing is real."""
        truth = self.original if self.mask is None else self.original * self.mask
        return truth.reshape(len(truth), -1)


@torch.inference_mode()
def reconstruct(model: InferenceModel, x: Array, noise: nn.Module | None = None, seed: int = 0) -> Reconstruction:
    """Return what the network of `model` tells of raw records x (n, ...), first spoilt by `noise` if that is given."""
    network = model.network
    generator = torch.Generator().manual_seed(seed)
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []
    for start in range(0, len(x), BATCH_SIZE):
        features = model.preprocess(torch.from_numpy(x[start : start + BATCH_SIZE].copy()))
        seen = features if noise is None else noise.corrupt(features, generator)  # type: ignore[operator]
        codes = network.encode(seen)  # type: ignore[operator]
        real = features[..., -1:] if network.masked else None
        parts.append((network.truth(features), network.decode(codes), codes, real))  # type: ignore[operator]
    truth, told, codes, real = zip(*parts, strict=True)
    masked = None if real[0] is None else torch.cat(real).numpy()
    return Reconstruction(torch.cat(truth).numpy(), torch.cat(told).numpy(), torch.cat(codes).numpy(), masked)


@torch.inference_mode()
def decode(model: InferenceModel, codes: Array) -> Array:
    """Return the features (n, *r) that codes (n, l) stand for."""
    every = torch.split(torch.from_numpy(codes.astype(np.float32)), BATCH_SIZE)
    return torch.cat([model.network.decode(part) for part in every]).numpy()  # type: ignore[operator]


def reconstruction_errors(original: Array, reconstructed: Array, mask: Array | None) -> Array:
    """Return the mean squared error of each row, (n,), over what is real."""
    square = (original.astype(np.float64) - reconstructed) ** 2
    if mask is None:
        return np.asarray(square.reshape(len(square), -1).mean(axis=1))
    every = np.broadcast_to(mask, square.shape)
    over = tuple(range(1, square.ndim))
    return np.asarray((square * every).sum(over) / np.maximum(every.sum(over), 1))


@dataclass(frozen=True)
class PCABaseline:
    """The best that straight lines can do: a PCA of as many components as a code; told: the shape of a record."""

    pca: "PCA"
    sample_shape: tuple[int, ...]

    @classmethod
    def fit(cls, train: Reconstruction, seed: int) -> "PCABaseline":
        """Fit it to training rows."""
        from sklearn.decomposition import PCA  # paid for by models that tell records alone

        flat = train.flat_features[:: max(1, -(-len(train.flat_features) // MAX_PCA_ROWS))].astype(np.float64)
        size = min(train.codes.shape[1], *flat.shape)
        return cls(PCA(size, random_state=seed).fit(flat), train.original.shape[1:])

    def transform(self, reconstruction: Reconstruction) -> Array:
        """Return the components (n, l) of rows."""
        return np.asarray(self.pca.transform(reconstruction.flat_features.astype(np.float64)))

    def inverse_transform(self, codes: Array) -> Array:
        """Return the features (n, *r) that components (n, l) stand for."""
        return np.asarray(self.pca.inverse_transform(codes).reshape(len(codes), *self.sample_shape))

    def errors(self, reconstruction: Reconstruction) -> Array:
        """Return the mean squared error of each row, (n,)."""
        return reconstruction_errors(
            reconstruction.original, self.inverse_transform(self.transform(reconstruction)), reconstruction.mask
        )


MIN_SSIM_SIZE = 11
"""Side of an image from which SSIM's window fits into it."""


def build_noise(trained_model: TrainedModel, variant: DenoisingVariant, original: Array) -> Noise:
    """Return the noise that a model was trained with; its extremes are those of `truth`."""
    network = cast(AutoencoderNetwork, trained_model.model.network)
    return Noise(variant, has_mask=network.has_mask, low=float(original.min()), high=float(original.max()))


def denoising_scores(
    trained_model: TrainedModel, variant: DenoisingVariant, x: Array, pca_baseline: PCABaseline, seed: int
) -> dict[str, float]:
    """Return PSNR, and of images SSIM, of spoilt raw records x (n, ...) and of what is told of them, against x.

    linear: a PCA of clean records, which takes noise away too.
    """
    clean = reconstruct(trained_model.model, x)
    noise = build_noise(trained_model, variant, clean.original)
    noisy = corrupt_features(trained_model, noise, x, seed)
    told = reconstruct(trained_model.model, x, noise, seed).reconstructed
    span = float(clean.original.max() - clean.original.min())
    straight = pca_baseline.inverse_transform(pca_baseline.transform(replace(clean, original=noisy)))
    before, after, by_pca = (
        float(10 * np.log10(span**2 / reconstruction_errors(clean.original, each, clean.mask).mean()))
        for each in (noisy, told, straight)
    )
    found = {"gain": after - before, "pca_gain": by_pca - before, "psnr": after, "psnr_noisy": before}
    if trained_model.schema.kind == "images" and min(clean.original.shape[2:]) >= MIN_SSIM_SIZE:
        found |= {"ssim": _ssim(told, clean.original, span), "ssim_noisy": _ssim(noisy, clean.original, span)}
    return found


def corrupt_features(trained_model: TrainedModel, noise: nn.Module, x: Array, seed: int) -> Array:
    """Return the features of raw records x (n, ...) as `records.tell` spoils them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        parts = [
            trained_model.model.network.truth(  # type: ignore[operator]
                noise.corrupt(  # type: ignore[operator]
                    trained_model.model.preprocess(torch.from_numpy(x[i : i + BATCH_SIZE].copy())), generator
                )
            )
            for i in range(0, len(x), BATCH_SIZE)
        ]
    return torch.cat(parts).numpy()


def _ssim(reconstructed: Array, original: Array, span: float) -> float:
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    pairs = zip(*(torch.split(torch.from_numpy(each), BATCH_SIZE) for each in (reconstructed, original)), strict=True)
    each = [ssim(one, other, data_range=span, reduction="none") for one, other in pairs]
    return float(torch.cat([part.reshape(-1) for part in each]).mean())  # type: ignore[union-attr]


ACTIVE_UNIT_VARIANCE = 0.01
"""Variance of a number's mean over records from which it tells them apart."""

GRID_SIZE = 8
"""Rows and columns of a grid."""


class LatentSamples(NamedTuple):
    """Features of records made of codes, (n, *r) each."""

    samples: Array
    interpolations: Array
    traversals: Array


@torch.inference_mode()
def elbo_scores(trained_model: TrainedModel, x: Array, seed: int) -> dict[str, float]:
    """Return the evidence lower bound of raw records x (n, ...), the divergence in it, and the active numbers of codes.

    A Gaussian likelihood has the variance of the errors of these records; of features between 0 and 1 under `bce` it is
    that of Bernoulli's distribution.
    """
    network = trained_model.model.network
    torch.manual_seed(seed)
    nats, squares, crosses, counts, means = [], [], [], [], []
    for start in range(0, len(x), BATCH_SIZE):
        features = trained_model.model.preprocess(torch.from_numpy(x[start : start + BATCH_SIZE].copy()))
        parts, truth = network.parts(features), network.truth(features)  # type: ignore[operator]
        real = features[..., -1:].expand_as(truth) if network.masked else torch.ones_like(truth)
        square = functional.mse_loss(network.finish(parts.told), truth, reduction="none")  # type: ignore[operator]
        squares.append((square * real).flatten(1).sum(1))
        counts.append(real.flatten(1).sum(1))
        if isinstance(trained_model.loss_config, BCELoss):
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
        "active": float((mean.var(0) > ACTIVE_UNIT_VARIANCE).sum()) if len(mean) > 1 else 0.0,
    }


def sample_latent_space(trained_model: TrainedModel, seed: int) -> LatentSamples:
    """Return records made of noise, of what lies between two noises, and of single numbers from -3 to 3."""
    latent = trained_model.network_config.latent_dim  # type: ignore[union-attr]
    random = np.random.default_rng(seed)
    noise = random.standard_normal((GRID_SIZE * GRID_SIZE, latent))
    ends = random.standard_normal((2, GRID_SIZE, latent))
    share = np.linspace(0, 1, GRID_SIZE)[:, None]
    between = np.concatenate([first * (1 - share) + last * share for first, last in zip(*ends, strict=True)])
    numbers = min(latent, GRID_SIZE)
    walks = np.zeros((numbers, GRID_SIZE, latent))
    walks[np.arange(numbers), :, np.arange(numbers)] = np.linspace(-3, 3, GRID_SIZE)
    every = (noise, between, walks.reshape(-1, latent))
    return LatentSamples(*(decode(trained_model.model, codes) for codes in every))
