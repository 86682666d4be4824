"""Where memory ends, rows go through the network in smaller parts, in training and when they are judged."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fivefold.errors import TrainingError
from fivefold.families.memory import Portions, memory_needed
from fivefold.families.objective import Objective
from fivefold.families.supervised import Supervised
from fivefold.params.losses import Auto

from ..conftest import schema_of


class Narrow(nn.Module):
    """A network for whose activations memory holds `most` rows."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return out


def judged(most: int, rows: int) -> list[float]:
    torch.manual_seed(0)
    network = Narrow(most)
    schema = schema_of((3,), 2)
    module = Supervised(network, Objective(schema, Auto(name="auto")), lambda *_: None, steps=1)  # type: ignore[arg-type,return-value]
    module.judging = Portions(32)
    x, y = torch.randn(rows, 3), torch.arange(rows) % 2
    with torch.no_grad():
        module.validation_step([(x, y, rows)], 0)
    sums = module.sums["val"]
    return [float(sums.loss), float(sums.hits), float(sums.rows)]


@pytest.mark.parametrize("most", [1, 5, 16])
def test_rows_that_are_judged_in_parts_have_the_same_scores(most: int, capsys: pytest.CaptureFixture[str]) -> None:
    np.testing.assert_allclose(judged(most, 40), judged(40, 40), rtol=1e-6)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"memory does not suffice: rows go through the network {rows} at a time; steps stay as they are"
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

    assert Portions(16)(16, work) == 2
    assert seen == [0, 0, 0, 0]


def test_what_memory_ended_once_is_not_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[int] = []

    def work(rows: int) -> None:
        tried.append(rows)
        if rows > 3:
            raise torch.OutOfMemoryError

    portions = Portions(8)
    for n in (8, 8, 1, 8):
        portions(n, work)
    assert tried == [8, 4, 2, 2, 2, 2]
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_one_row_too_many_is_one_line() -> None:
    def nothing_fits(_: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 GiB")

    with (
        pytest.raises(TrainingError, match=r"\Athe device's memory must hold .* not \(CUDA .* GiB\); make .* cpu\Z"),
        memory_needed(),
    ):
        Portions(8)(8, nothing_fits)
