"""Whole fits of autoencoders and GANs against loops written by hand over tensors in memory.

One thread, interleaved, a thousand steps each.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.data.dataset import Dataset

from .bench_training import IMAGES, Case, alternate, dataset_of, train_with_fivefold
from .measure import Result, finish, table


@dataclass(frozen=True)
class AutoencoderCase(Case):
    """An autoencoder; `loss` compares the output of the network of `make` with its input."""

    loss: Callable[[Any, Tensor], Tensor] = functional.mse_loss


def dense() -> nn.Module:
    """Return a dense autoencoder, 784-128-32-128-784."""
    widths = ((784, 128), (128, 32), (32, 128), (128, 784))
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in widths:
        layers += [nn.Linear(before, after), nn.ReLU()]
    del layers[4:5], layers[-1]  # no activation of the latent code and the output
    return nn.Sequential(*layers, nn.Unflatten(1, (1, 28, 28)))


class Variational(nn.Module):
    """A variational autoencoder, 784-128-(32, 32)-128-784."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(128, 32), nn.Linear(128, 32)
        self.decoder = nn.Sequential(nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 784), nn.Unflatten(1, (1, 28, 28)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the reconstruction, and mean and log variance of the latent code."""
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        return self.decoder(mean + torch.randn_like(mean) * (log_variance / 2).exp()), mean, log_variance


def negative_elbo(out: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    """Return the negative ELBO per pixel with a Bernoulli likelihood."""
    reconstruction, mean, log_variance = out
    nats = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
    return functional.binary_cross_entropy_with_logits(reconstruction, x.clamp(0, 1)) + nats / 784


def convolutional() -> nn.Module:
    """Return two strided convolutions, a latent code of 32, and two transposed convolutions."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1568, 32),
        nn.Linear(32, 1568),
        nn.Unflatten(1, (32, 7, 7)),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 3, 2, 1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 3, 2, 1, output_padding=1),
    )


class AdversarialNetworks(nn.Module):
    """A generator and its discriminator."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator


def dense_gan() -> AdversarialNetworks:
    """Return the networks of the tutorials, 100-256-784 and 784-256-1."""
    generator = nn.Sequential(nn.Linear(100, 256), nn.ReLU(), nn.Linear(256, 784), nn.Unflatten(1, (1, 28, 28)))
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1))
    return AdversarialNetworks(generator, discriminator)


def dcgan() -> AdversarialNetworks:
    """Return two transposed convolutions with batch norm from 7x7, and two convolutions back."""
    generator = nn.Sequential(
        nn.Linear(100, 32 * 49, bias=False),
        nn.Unflatten(1, (32, 7, 7)),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(32 * 49, 1),
    )
    return AdversarialNetworks(generator, discriminator)


LONG: dict[str, Any] = IMAGES | {"epochs": 10}
FLAT: dict[str, Any] = {"family": "autoencoder", "hidden": [128], "latent_dim": 32, "activation": "relu"}
BOUND: dict[str, Any] = FLAT | {"variant": {"name": "variational"}, "output_activation": "sigmoid"}
CONV: dict[str, Any] = FLAT | {"architecture": "conv", "hidden": [16, 32]}
GAN: dict[str, Any] = {"family": "gan"}
DCGAN: dict[str, Any] = GAN | {"architecture": "dcgan", "hidden": [16, 32]}
BCE: dict[str, Any] = {"loss": {"name": "bce"}}
CASES: tuple[Case, ...] = (
    AutoencoderCase("autoencoder dense", 1.1, **LONG, network=FLAT, make=dense),
    AutoencoderCase(
        "autoencoder variational", 1.1, **LONG, network=BOUND, make=Variational, loss=negative_elbo, training=BCE
    ),
    AutoencoderCase("autoencoder conv", 1.1, **LONG, network=CONV, make=convolutional, channels_last=True),
    Case("gan dense", 1.15, **LONG, network=GAN, make=dense_gan),
    Case("gan dcgan", 1.15, **LONG, network=DCGAN, make=dcgan, channels_last=True),
)


def by_hand(case: AutoencoderCase, data: Dataset) -> None:
    """Train in a loop written by hand."""
    torch.manual_seed(0)
    network = case.make()
    x, held_out = torch.from_numpy(data.train.x), torch.from_numpy(data.validation.x)
    if case.channels_last:
        network = network.to(memory_format=torch.channels_last)
        x, held_out = (part.contiguous(memory_format=torch.channels_last) for part in (x, held_out))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    for _ in range(case.epochs):
        total = torch.zeros(())
        network.train()
        for index in torch.randperm(len(x)).split(case.batch):
            rows = x[index]
            loss = case.loss(network(rows), rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(index)
        network.eval()
        with torch.no_grad():
            case.loss(network(held_out), held_out)


def adversarial_by_hand(case: Case, data: Dataset) -> None:
    """Train a GAN in a loop written by hand, with the non-saturating loss."""
    torch.manual_seed(0)
    networks = case.make()
    assert isinstance(networks, AdversarialNetworks)
    x = torch.from_numpy(data.train.x)
    if case.channels_last:
        networks = networks.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    generator, discriminator = networks.generator, networks.discriminator
    generator_optimizer, discriminator_optimizer = (
        torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True) for network in (generator, discriminator)
    )
    bce = functional.binary_cross_entropy_with_logits
    for _ in range(case.epochs):
        for index in torch.randperm(len(x)).split(case.batch):
            rows = x[index]
            one, zero = torch.ones(len(index), 1), torch.zeros(len(index), 1)
            with torch.no_grad():
                samples = generator(torch.randn(len(index), 100))
            discriminator_optimizer.zero_grad()
            (bce(discriminator(rows), one) + bce(discriminator(samples), zero)).backward()
            discriminator_optimizer.step()
            generator_optimizer.zero_grad()
            bce(discriminator(generator(torch.randn(len(index), 100))), one).backward()
            generator_optimizer.step()


def measure(case: Case, work: Path) -> dict[str, Any]:
    """Return the seconds of whole fits and the median of their ratios."""
    data = dataset_of(case)
    loop: Callable[[Any, Dataset], None] = by_hand if isinstance(case, AutoencoderCase) else adversarial_by_hand
    rounds = list(alternate((lambda: train_with_fivefold(case, data, work), lambda: loop(case, data))))[1:]
    fivefold, manual = ([pair[i] for pair in rounds] for i in (0, 1))
    ratio = median(one / other for one, other in rounds)
    return {"steps": case.steps, "ours_seconds": fivefold, "by_hand_seconds": manual, "ratio": ratio}


def main() -> int:
    """Measure every case, print the table, write the result."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        measured = {case.name: measure(case, Path(folder)) for case in CASES}
    rows = [
        (
            name,
            result["steps"],
            *(1e3 * median(result[key]) / result["steps"] for key in ("by_hand_seconds", "ours_seconds")),
            result["ratio"],
        )
        for name, result in measured.items()
    ]
    print(table(("whole fit", "steps", "by hand, ms per step", "fivefold, ms per step", "time"), rows))
    results = [
        Result(f"{case.name.replace(' ', '_')}_time_of_by_hand", measured[case.name]["ratio"], case.hold)
        for case in CASES
    ]
    return finish("unsupervised", measured, results)


if __name__ == "__main__":
    sys.exit(main())
