"""Padding changes neither outputs nor statistics of any family, whatever its length and content, in training too."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from .helpers import CASES, STARTED, Case, features, network_of

IN_ORDER = {"mlp of sequences", "mlp of tokens in order"}
"""Networks with separate weights for each position, for which padding must have the length that it had in training."""

PADDED = {name: case for name, case in STARTED.items() if case.kind in ("sequences", "tokens") and name not in IN_ORDER}
MASKED = {name: case for name, case in PADDED.items() if case.kind == "sequences"}

in_both_modes = pytest.mark.parametrize("training", [False, True], ids=["predicting", "training"])


def test_there_are_padded_cases() -> None:
    assert set(CASES) >= IN_ORDER
    assert len(PADDED) > len(MASKED) >= 3


@in_both_modes
@pytest.mark.parametrize("case", PADDED.values(), ids=PADDED)
def test_longer_padding_changes_nothing(case: Case, training: bool) -> None:
    x, n_added = features(case), 6
    longer = case._replace(shape=(case.shape[0] + n_added, *case.shape[1:]))
    padded = functional.pad(x, (0, 0) * (x.ndim - 2) + (0, n_added))
    assert_same(network_of(case), x, network_of(longer), padded, training)


@in_both_modes
@pytest.mark.parametrize("case", MASKED.values(), ids=MASKED)
def test_values_in_padding_change_nothing(case: Case, training: bool) -> None:
    x = features(case)
    real = x[..., -1:]
    filled = torch.cat([torch.where(real > 0, x[..., :-1], 100.0), real], dim=-1)
    assert (filled == 100).sum() > 50
    assert_same(network_of(case), x, network_of(case), filled, training)


def assert_same(network: nn.Module, x: Tensor, other: nn.Module, x_other: Tensor, training: bool) -> None:
    """Assert that outputs and buffers of both networks are equal."""
    other.load_state_dict(network.state_dict())
    for module in (*network.modules(), *other.modules()):
        module.train(training)
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # its random numbers depend on the position
    torch.testing.assert_close(network(x), other(x_other), rtol=1e-4, atol=1e-5)
    other_buffers = dict(other.named_buffers())
    for name, buffer in network.named_buffers():
        torch.testing.assert_close(buffer, other_buffers[name], rtol=1e-4, atol=1e-5)
