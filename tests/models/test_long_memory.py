"""Long dependencies: an LSTM remembers over a hundred steps, a plain recurrent cell does not."""

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
CONSTANT_ERROR = 1 / 6
"""Squared error of predicting the mean: the sum of two uniform numbers from [0, 1] has variance 2/12."""


def adding_problem(rows: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return sequences of uniform numbers, two of them marked, one in each half, and the sum of the marked ones.

    Source: Hochreiter & Schmidhuber 1997.
    """
    values, marks = torch.rand(rows, STEPS, generator=random), torch.zeros(rows, STEPS)
    for start in (0, STEPS // 2):
        positions = torch.randint(start, start + STEPS // 2, (rows, 1), generator=random)
        marks.scatter_(1, positions, 1.0)
    return torch.stack([values, marks], dim=2), (values * marks).sum(dim=1, keepdim=True)


def error_after_training(cell: RecurrentCell) -> float:
    """Return the squared error on 1,000 new sequences after 1,200 batches."""
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    network = build_network(Rnn(family="rnn", cell=cell, hidden=(16,)), InputSpec((STEPS, 2), 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(1200):
        x, y = adding_problem(32, random)
        optimizer.zero_grad()
        functional.mse_loss(network(x), y).backward()
        clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    x, y = adding_problem(1000, random)
    with torch.no_grad():
        return functional.mse_loss(network(x), y).item()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: on so small a network, several wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_an_lstm_solves_the_adding_problem_over_a_hundred_steps() -> None:
    assert error_after_training("lstm") < 0.1 * CONSTANT_ERROR


def test_a_plain_cell_does_not_solve_it() -> None:
    assert error_after_training("rnn") > 0.9 * CONSTANT_ERROR
