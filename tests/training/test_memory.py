"""If memory is insufficient, micro-batches become smaller, in training and in validation."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fivefold.config.training import AutoLoss
from fivefold.errors import TrainingError
from fivefold.models.lightning import SupervisedModule
from fivefold.models.losses import SupervisedLoss
from fivefold.models.precision import MicroBatcher, handle_out_of_memory

from ..conftest import schema_of

HUGE = 2**50
"""Number of values that fits into no memory."""


def exhaust_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 GiB")


def exhaust_cpu() -> None:
    torch.empty(HUGE)


def exhaust_numpy() -> None:
    np.empty(HUGE)


Exhaust = Callable[[], None]
EXHAUST_FUNCTIONS = [exhaust_gpu, exhaust_cpu, exhaust_numpy]


class LimitedNetwork(nn.Module):
    """A network that runs out of memory with more than `max_rows` rows."""

    def __init__(self, max_rows: int, exhaust: Exhaust) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.max_rows, self.exhaust = max_rows, exhaust

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        if len(x) > self.max_rows:
            self.exhaust()
        return out


def validate(max_rows: int, rows: int, exhaust: Exhaust = exhaust_gpu) -> list[float]:
    torch.manual_seed(0)
    network = LimitedNetwork(max_rows, exhaust)
    schema = schema_of((3,), 2)
    module = SupervisedModule(
        network, SupervisedLoss(schema, AutoLoss(name="auto")), lambda *_: None, steps_per_epoch=1
    )  # type: ignore[arg-type,return-value]
    module.micro_batcher = MicroBatcher(32)
    x, y = torch.randn(rows, 3), torch.arange(rows) % 2
    with torch.no_grad():
        module.validation_step([(x, y, rows)], 0)
    average = module.epoch_averages["val"]
    return [float(average.loss_sum), float(average.n_correct), float(average.n_rows)]


@pytest.mark.parametrize("exhaust", EXHAUST_FUNCTIONS)
@pytest.mark.parametrize("max_rows", [1, 5, 16])
def test_validation_in_micro_batches_has_the_same_scores(
    max_rows: int, exhaust: Exhaust, capsys: pytest.CaptureFixture[str]
) -> None:
    np.testing.assert_allclose(validate(max_rows, 40, exhaust), validate(40, 40), rtol=1e-6)
    assert capsys.readouterr().out.splitlines() == [
        f"out of memory: micro-batch reduced to {rows} (effective batch size unchanged)"
        for rows in (16, 8, 4, 2, 1)
        if rows * 2 > max_rows
    ]


def test_failed_attempt_is_released_before_the_next() -> None:
    """An exception keeps the frames in which it was raised alive, and with them the activations."""
    alive: list[int] = []

    class Activations:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    alive_at_start: list[int] = []

    def work(rows: int) -> int:
        alive_at_start.append(len(alive))
        activations = Activations()
        if rows > 2:
            raise torch.OutOfMemoryError
        del activations
        return rows

    assert MicroBatcher(16)(16, work) == 2
    assert alive_at_start == [0, 0, 0, 0]


def test_size_that_ran_out_of_memory_is_not_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[int] = []

    def work(rows: int) -> None:
        tried.append(rows)
        if rows > 3:
            raise torch.OutOfMemoryError

    micro_batcher = MicroBatcher(8)
    for n in (8, 8, 1, 8):
        micro_batcher(n, work)
    assert tried == [8, 4, 2, 2, 2, 2]
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("exhaust", "line"),
    [
        (
            exhaust_gpu,
            "(CUDA out of memory. Tried to allocate 20.00 GiB); reduce the network's layer sizes, or set training.acc",
        ),
        (exhaust_cpu, "Cannot allocate memory)); reduce the network's layer sizes, or use fewer or smaller rows"),
        (exhaust_numpy, "data type float64); reduce the network's layer sizes, or use fewer or smaller rows"),
    ],
)
def test_single_row_that_does_not_fit_is_reported_in_one_line(exhaust: Exhaust, line: str) -> None:
    pattern = rf"\Adata, network, [^\n]* must fit in the device's memory, but do not [^\n]*{re.escape(line)}[^\n]*\Z"
    with pytest.raises(TrainingError, match=pattern), handle_out_of_memory():
        MicroBatcher(8)(8, lambda _: exhaust())


def test_other_errors_are_not_changed() -> None:
    def broken(_: int) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"), handle_out_of_memory():
        MicroBatcher(8)(8, broken)
