"""How much of the noise a denoising autoencoder takes away.

Source: SSIM of Wang et al. 2004, as torchmetrics computes it.
"""

from dataclasses import replace
from importlib import import_module

import numpy as np
import torch
from torch import nn

from ..config.networks.autoencoder import Denoising
from ..data.dataset import Array
from ..models.serialization import Saved
from .records import BATCH, Linear, errors_of, tell

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
