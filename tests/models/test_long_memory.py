"""What the cells are known for: an LSTM remembers over a hundred steps, a plain cell does not."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from fivefold.config.base import RecurrentCell
from fivefold.config.networks.rnn import Rnn
from fivefold.models.factory import InputSpec, build_network

STEPS = 100
ALWAYS_ONE = 1 / 6
"""Squared error of who tells the mean: the sum of two numbers drawn from [0, 1] has variance 2/12."""


def adding(rows: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers from [0, 1], two of them marked, one in each half: what is their sum? Hochreiter & Schmidhuber 1997."""
    values, marks = torch.rand(rows, STEPS, generator=random), torch.zeros(rows, STEPS)
    for start in (0, STEPS // 2):
        at = torch.randint(start, start + STEPS // 2, (rows, 1), generator=random)
        marks.scatter_(1, at, 1.0)
    return torch.stack([values, marks], dim=2), (values * marks).sum(dim=1, keepdim=True)


def error_after_training(cell: RecurrentCell) -> float:
    """Squared error on 1,000 fresh rows after 1,200 batches."""
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    network = build_network(Rnn(family="rnn", cell=cell, hidden=(16,)), InputSpec((STEPS, 2), 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(1200):
        x, y = adding(32, random)
        optimizer.zero_grad()
        functional.mse_loss(network(x), y).backward()
        clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    x, y = adding(1000, random)
    with torch.no_grad():
        return functional.mse_loss(network(x), y).item()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """More than one spin against each other on so small a network."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_an_lstm_adds_what_lies_a_hundred_steps_apart() -> None:
    assert error_after_training("lstm") < 0.1 * ALWAYS_ONE


def test_a_plain_cell_does_not() -> None:
    assert error_after_training("rnn") > 0.9 * ALWAYS_ONE
