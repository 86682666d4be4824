"""Metrics of autoencoders: reconstruction errors, denoising and the likelihood of variational ones.

Source: SSIM of Wang et al. 2004, as implemented in torchmetrics; ELBO of Kingma & Welling 2014; active units of Burda,
Grosse & Salakhutdinov 2016.
Shapes: n rows, r shape of a reconstruction, f its number of values, l latent dimensions.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.autoencoder import DenoisingVariant
from ...config.training import BCELoss
from ...data.dataset import Array
from ...models.autoencoder.network import AutoencoderNetwork
from ...models.autoencoder.noise import Noise
from ...models.inference import InferenceModel
from ...models.serialization import TrainedModel

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

BATCH_SIZE = 1024
"""Rows per batch."""

MAX_PCA_ROWS = 20_000
"""Maximum number of training rows that a PCA is fitted on."""

MIN_SSIM_SIZE = 11
"""Side of the window of SSIM, which smaller images cannot contain."""

ACTIVE_UNIT_VARIANCE = 0.01
"""Variance over rows of the posterior mean above which a latent dimension counts as active."""

GRID_SIZE = 8
"""Rows and columns of a grid."""


@dataclass(frozen=True)
class Reconstruction:
    """Features of rows and their reconstructions, (n, *r), codes (n, l), and a mask of existing time steps.

    A mask of None means that all values exist.
    """

    original: Array
    reconstructed: Array
    codes: Array
    mask: Array | None

    @property
    def errors(self) -> Array:
        """Mean squared error of each row over existing values, (n,)."""
        return reconstruction_errors(self.original, self.reconstructed, self.mask)

    @property
    def mean(self) -> Array:
        """Mean of the original features over rows, (*r), ignoring masked values."""
        if self.mask is None:
            return np.asarray(self.original.mean(0, dtype=np.float64))
        return np.asarray((self.original * self.mask).sum(0) / np.maximum(self.mask.sum(0), 1))

    def take(self, indices: Array) -> "Reconstruction":
        """Return a subset of rows, given as indices or as a mask (n,)."""
        mask = None if self.mask is None else self.mask[indices]
        return Reconstruction(self.original[indices], self.reconstructed[indices], self.codes[indices], mask)

    @property
    def flat_features(self) -> Array:
        """Original features (n, f), with masked values replaced by 0."""
        original = self.original if self.mask is None else self.original * self.mask
        return original.reshape(len(original), -1)


@torch.inference_mode()
def reconstruct(model: InferenceModel, x: Array, noise: nn.Module | None = None, seed: int = 0) -> Reconstruction:
    """Return the reconstruction of raw samples x (n, ...), corrupted by `noise` first if it is given."""
    network = cast(AutoencoderNetwork, model.network)
    generator = torch.Generator().manual_seed(seed)
    batches: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []
    for start in range(0, len(x), BATCH_SIZE):
        features = model.preprocess(torch.from_numpy(x[start : start + BATCH_SIZE].copy()))
        inputs = features if noise is None else noise.corrupt(features, generator)  # type: ignore[operator]
        codes = network.encode(inputs)
        mask = features[..., -1:] if network.has_mask else None
        batches.append((network.reconstruction_target(features), network.decode(codes), codes, mask))
    originals, reconstructions, code_batches, masks = zip(*batches, strict=True)
    return Reconstruction(
        torch.cat(originals).numpy(),
        torch.cat(reconstructions).numpy(),
        torch.cat(code_batches).numpy(),
        None if masks[0] is None else torch.cat(masks).numpy(),
    )


@torch.inference_mode()
def decode(model: InferenceModel, codes: Array) -> Array:
    """Return the features (n, *r) decoded from codes (n, l)."""
    network = cast(AutoencoderNetwork, model.network)
    batches = torch.split(torch.from_numpy(codes.astype(np.float32)), BATCH_SIZE)
    return torch.cat([network.decode(batch) for batch in batches]).numpy()


def reconstruction_errors(original: Array, reconstructed: Array, mask: Array | None) -> Array:
    """Return the mean squared error of each row, (n,), over the values that the mask selects."""
    square = (original.astype(np.float64) - reconstructed) ** 2
    if mask is None:
        return np.asarray(square.reshape(len(square), -1).mean(axis=1))
    full_mask = np.broadcast_to(mask, square.shape)
    axes = tuple(range(1, square.ndim))
    return np.asarray((square * full_mask).sum(axes) / np.maximum(full_mask.sum(axes), 1))


@dataclass(frozen=True)
class PCABaseline:
    """PCA with as many components as the autoencoder has latent dimensions: the optimal linear autoencoder."""

    pca: "PCA"
    sample_shape: tuple[int, ...]

    @classmethod
    def fit(cls, train: Reconstruction, seed: int) -> "PCABaseline":
        """Return a PCA fitted to training rows."""
        from sklearn.decomposition import PCA  # imported here because only autoencoders need it

        flat = train.flat_features[:: max(1, -(-len(train.flat_features) // MAX_PCA_ROWS))].astype(np.float64)
        size = min(train.codes.shape[1], *flat.shape)
        return cls(PCA(size, random_state=seed).fit(flat), train.original.shape[1:])

    def transform(self, reconstruction: Reconstruction) -> Array:
        """Return the principal components (n, l) of the original features."""
        return np.asarray(self.pca.transform(reconstruction.flat_features.astype(np.float64)))

    def inverse_transform(self, codes: Array) -> Array:
        """Return the features (n, *r) reconstructed from components (n, l)."""
        return np.asarray(self.pca.inverse_transform(codes).reshape(len(codes), *self.sample_shape))

    def errors(self, reconstruction: Reconstruction) -> Array:
        """Return the mean squared error of each row, (n,)."""
        return reconstruction_errors(
            reconstruction.original, self.inverse_transform(self.transform(reconstruction)), reconstruction.mask
        )


def build_noise(trained_model: TrainedModel, variant: DenoisingVariant, original: Array) -> Noise:
    """Return the noise that a model was trained with; its extreme values are those of `original`."""
    network = cast(AutoencoderNetwork, trained_model.model.network)
    return Noise(variant, has_mask=network.has_mask, low=float(original.min()), high=float(original.max()))


def denoising_scores(
    trained_model: TrainedModel, variant: DenoisingVariant, x: Array, pca_baseline: PCABaseline, seed: int
) -> dict[str, float]:
    """Return PSNR, and SSIM for images, of corrupted raw samples x (n, ...) and of their reconstructions.

    `pca_psnr_gain` is the gain of a PCA fitted to clean samples, which removes noise as well.
    """
    clean = reconstruct(trained_model.model, x)
    noise = build_noise(trained_model, variant, clean.original)
    noisy = corrupt_features(trained_model, noise, x, seed)
    denoised = reconstruct(trained_model.model, x, noise, seed).reconstructed
    span = float(clean.original.max() - clean.original.min())
    by_pca = pca_baseline.inverse_transform(pca_baseline.transform(replace(clean, original=noisy)))
    psnr_noisy, psnr, psnr_pca = (
        float(10 * np.log10(span**2 / reconstruction_errors(clean.original, features, clean.mask).mean()))
        for features in (noisy, denoised, by_pca)
    )
    scores = {
        "psnr_gain": psnr - psnr_noisy,
        "pca_psnr_gain": psnr_pca - psnr_noisy,
        "psnr": psnr,
        "psnr_noisy": psnr_noisy,
    }
    if trained_model.schema.kind == "images" and min(clean.original.shape[2:]) >= MIN_SSIM_SIZE:
        scores |= {"ssim": _ssim(denoised, clean.original, span), "ssim_noisy": _ssim(noisy, clean.original, span)}
    return scores


def corrupt_features(trained_model: TrainedModel, noise: nn.Module, x: Array, seed: int) -> Array:
    """Return the features of raw samples x (n, ...), corrupted with the same random numbers as in `reconstruct`."""
    network = cast(AutoencoderNetwork, trained_model.model.network)
    generator = torch.Generator().manual_seed(seed)
    batches = []
    with torch.inference_mode():
        for start in range(0, len(x), BATCH_SIZE):
            features = trained_model.model.preprocess(torch.from_numpy(x[start : start + BATCH_SIZE].copy()))
            corrupted = noise.corrupt(features, generator)  # type: ignore[operator]
            batches.append(network.reconstruction_target(corrupted))
    return torch.cat(batches).numpy()


def _ssim(reconstructed: Array, original: Array, span: float) -> float:
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    pairs = zip(*(torch.split(torch.from_numpy(x), BATCH_SIZE) for x in (reconstructed, original)), strict=True)
    values = [ssim(x, y, data_range=span, reduction="none") for x, y in pairs]
    return float(torch.cat([batch.reshape(-1) for batch in values]).mean())  # type: ignore[union-attr]


@torch.inference_mode()
def elbo_scores(trained_model: TrainedModel, x: Array, seed: int) -> dict[str, float]:
    """Return the evidence lower bound of raw samples x (n, ...), its KL divergence and the number of active units.

    The likelihood is Gaussian, with the variance of the errors of these samples, or Bernoulli if the loss is `bce`.
    """
    network = cast(AutoencoderNetwork, trained_model.model.network)
    torch.manual_seed(seed)
    divergences, squared_errors, cross_entropies, counts, means = [], [], [], [], []
    for start in range(0, len(x), BATCH_SIZE):
        features = trained_model.model.preprocess(torch.from_numpy(x[start : start + BATCH_SIZE].copy()))
        outputs, target = network.training_outputs(features), network.reconstruction_target(features)
        mask = features[..., -1:].expand_as(target) if network.has_mask else torch.ones_like(target)
        activated = network.apply_output_activation(outputs.reconstruction)
        squared_error = functional.mse_loss(activated, target, reduction="none")
        squared_errors.append((squared_error * mask).flatten(1).sum(1))
        counts.append(mask.flatten(1).sum(1))
        if isinstance(trained_model.loss_config, BCELoss):
            cross_entropy = functional.binary_cross_entropy_with_logits(
                outputs.reconstruction, target.clamp(0, 1), reduction="none"
            )
            cross_entropies.append((cross_entropy * mask).flatten(1).sum(1))
        log_variance = cast(Tensor, outputs.log_variance)
        divergences.append((outputs.latent.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2)
        means.append(outputs.latent)
    squared_error, count, divergence, mean = (
        torch.cat(batches).double() for batches in (squared_errors, counts, divergences, means)
    )
    if cross_entropies:
        likelihood = -torch.cat(cross_entropies).double()
    else:
        variance = float((squared_error.sum() / count.sum()).clamp_min(1e-12))
        likelihood = -(squared_error / variance + count * math.log(2 * math.pi * variance)) / 2
    return {
        "elbo": float((likelihood - divergence).mean()),
        "kl": float(divergence.mean()),
        "active_units": float((mean.var(0) > ACTIVE_UNIT_VARIANCE).sum()) if len(mean) > 1 else 0.0,
    }


class LatentSamples(NamedTuple):
    """Features decoded from latent codes, (n, *r) each."""

    samples: Array
    interpolations: Array
    traversals: Array


def sample_latent_space(trained_model: TrainedModel, seed: int) -> LatentSamples:
    """Return random samples, interpolations between two random codes, and traversals of dimensions from -3 to 3."""
    latent_dim = trained_model.network_config.latent_dim  # type: ignore[union-attr]
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((GRID_SIZE * GRID_SIZE, latent_dim))
    ends = rng.standard_normal((2, GRID_SIZE, latent_dim))
    weight = np.linspace(0, 1, GRID_SIZE)[:, None]
    interpolations = np.concatenate([a * (1 - weight) + b * weight for a, b in zip(*ends, strict=True)])
    n_dims = min(latent_dim, GRID_SIZE)
    traversals = np.zeros((n_dims, GRID_SIZE, latent_dim))
    traversals[np.arange(n_dims), :, np.arange(n_dims)] = np.linspace(-3, 3, GRID_SIZE)
    code_sets = (noise, interpolations, traversals.reshape(-1, latent_dim))
    return LatentSamples(*(decode(trained_model.model, codes) for codes in code_sets))
