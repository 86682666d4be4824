"""Adversarial networks on digits, ranked: how far 5,000 made digits are from real ones that no network has learnt.

The networks are those of `examples/digits`, none of which knows classes, each with three seeds, within five minutes of
one CPU. Distances are KIDs as that example's judge sees digits, from validation and test rows together; that of
training rows stands beside.
"""

import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fivefold.config.loading import load_params
from fivefold.data.prepare import prepare
from fivefold.models.feature_extractor import ReferenceClassifier, build_embedding_fn, kid
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.training.fit import FitResult, fit

from .measure import ROOT, Result, finish, table

DESIGNS = ("dense", "dcgan", "wgan_gp", "resnet")
SEEDS = (0, 1, 2)
MADE = 5_000
BUDGET = 300
"""Seconds of a CPU."""


def measure() -> dict[str, Any]:
    """Return the distance of each design and seed, and the seconds of CPU that it was trained."""
    os.chdir(ROOT / "examples/digits")  # sources in params.yaml are relative to it
    params = load_params()
    block = params.datasets["digits"]
    dataset, _ = prepare(block, params.seed)
    chain = fit_scaling(dataset.train.x, dataset.schema, block)

    def trained(name: str, seed: int, judge: ReferenceClassifier | None = None) -> FitResult:
        with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
            where, silent = Path(work), lambda *_: None
            model = params.models[name]
            return fit(name, model, dataset, chain, None, judge, seed=seed, checkpoint_folder=where, on_epoch=silent)

    judge = ReferenceClassifier("judge", "", trained("judge", params.seed).trained_model)
    see = build_embedding_fn(judge.trained_model)
    real, learnt = (
        see(torch.from_numpy(np.concatenate([np.asarray(records.x) for records in sets])))
        for sets in ((dataset.validation, dataset.test), (dataset.train,))
    )
    found: dict[str, Any] = {"floor": kid(real, learnt)}
    for name in DESIGNS:
        runs = []
        for seed in SEEDS:
            started = time.process_time()
            saved = trained(name, seed, judge).trained_model
            spent = time.process_time() - started
            runs.append({"seed": seed, "kid": kid(real, see(_made(saved.model, seed))), "cpu_seconds": spent})
            print(f"{name}, seed {seed}: KID {runs[-1]['kid']:.4f} after {spent:.0f} s", flush=True)
        found[name] = {"mean": fmean(run["kid"] for run in runs), "runs": runs}
    os.chdir(ROOT)
    return found


@torch.inference_mode()
def _made(model: torch.nn.Module, seed: int) -> Tensor:
    latent = int(model.network.latent)  # type: ignore[union-attr, arg-type]
    z = torch.randn(MADE, latent, generator=torch.Generator().manual_seed(seed))
    return torch.cat([model(part) for part in torch.split(z, 500)])


def main() -> int:
    """Measure, print the table, keep the result."""
    torch.set_num_threads(1)
    found = measure()
    rows = [
        (name, *(run["kid"] for run in found[name]["runs"]), found[name]["mean"], _longest(found[name]))
        for name in DESIGNS
    ]
    print(table(("KID", *(f"seed {seed}" for seed in SEEDS), "mean", "CPU s"), rows))
    print(f"training rows: {found['floor']:.4f}")
    mean = {name: found[name]["mean"] for name in DESIGNS}
    best = min(mean["wgan_gp"], mean["resnet"])
    # distances may be below 0: they are without bias, so differences and no ratios
    results = [
        Result("best_of_wgan_gp_and_resnet_minus_dcgan", best - mean["dcgan"], 0.0),
        Result("dcgan_minus_dense", mean["dcgan"] - mean["dense"], 0.0),
        Result("longest_cpu_seconds", max(_longest(found[name]) for name in DESIGNS), BUDGET),
    ]
    return finish("adversarial", found, results)


def _longest(design: dict[str, Any]) -> float:
    return max(float(run["cpu_seconds"]) for run in design["runs"])


if __name__ == "__main__":
    sys.exit(main())
