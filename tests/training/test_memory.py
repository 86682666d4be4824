"""Where memory ends, rows go through the network in smaller parts, in training and when they are judged."""

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
"""Numbers that no machine's memory holds."""


def on_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 GiB")


def on_cpu() -> None:
    torch.empty(HUGE)


def in_numpy() -> None:
    np.empty(HUGE)


Ends = Callable[[], None]
ENDS = [on_gpu, on_cpu, in_numpy]


class Narrow(nn.Module):
    """A network for whose activations memory holds `most` rows."""

    def __init__(self, most: int, ends: Ends) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.most, self.ends = most, ends

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        if len(x) > self.most:
            self.ends()
        return out


def judged(most: int, rows: int, ends: Ends = on_gpu) -> list[float]:
    torch.manual_seed(0)
    network = Narrow(most, ends)
    schema = schema_of((3,), 2)
    module = SupervisedModule(
        network, SupervisedLoss(schema, AutoLoss(name="auto")), lambda *_: None, steps_per_epoch=1
    )  # type: ignore[arg-type,return-value]
    module.micro_batcher = MicroBatcher(32)
    x, y = torch.randn(rows, 3), torch.arange(rows) % 2
    with torch.no_grad():
        module.validation_step([(x, y, rows)], 0)
    sums = module.epoch_averages["val"]
    return [float(sums.loss_sum), float(sums.n_correct), float(sums.n_rows)]


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("most", [1, 5, 16])
def test_rows_that_are_judged_in_parts_have_the_same_scores(
    most: int, ends: Ends, capsys: pytest.CaptureFixture[str]
) -> None:
    np.testing.assert_allclose(judged(most, 40, ends), judged(40, 40), rtol=1e-6)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"out of memory: micro-batch reduced to {rows} (effective batch size unchanged)"
        for rows in (16, 8, 4, 2, 1)
        if rows * 2 > most
    ]


def test_a_failed_attempt_is_gone_before_the_next() -> None:
    """An exception holds the frames of what it ended, and these the activations."""
    alive: list[int] = []

    class Activations:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    seen: list[int] = []

    def work(rows: int) -> int:
        seen.append(len(alive))
        activations = Activations()
        if rows > 2:
            raise torch.OutOfMemoryError
        del activations
        return rows

    assert MicroBatcher(16)(16, work) == 2
    assert seen == [0, 0, 0, 0]


def test_what_memory_ended_once_is_not_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[int] = []

    def work(rows: int) -> None:
        tried.append(rows)
        if rows > 3:
            raise torch.OutOfMemoryError

    portions = MicroBatcher(8)
    for n in (8, 8, 1, 8):
        portions(n, work)
    assert tried == [8, 4, 2, 2, 2, 2]
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("ends", "line"),
    [
        (
            on_gpu,
            "(CUDA out of memory. Tried to allocate 20.00 GiB); reduce the network's layer sizes, or set training.acc",
        ),
        (on_cpu, "Cannot allocate memory)); reduce the network's layer sizes, or use fewer or smaller rows"),
        (in_numpy, "data type float64); reduce the network's layer sizes, or use fewer or smaller rows"),
    ],
)
def test_one_row_too_many_is_one_line(ends: Ends, line: str) -> None:
    told = rf"\Adata, network, [^\n]* must fit in the device's memory, but do not [^\n]*{re.escape(line)}[^\n]*\Z"
    with pytest.raises(TrainingError, match=told), handle_out_of_memory():
        MicroBatcher(8)(8, lambda _: ends())


def test_another_error_is_left_as_it_is() -> None:
    def broken(_: int) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"), handle_out_of_memory():
        MicroBatcher(8)(8, broken)
