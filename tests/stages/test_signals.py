"""Deferred signals, and rank of a process started by torchrun, srun or `training.distributed`."""

import signal

import pytest

from fivefold.stages import signals
from fivefold.stages.signals import allow_signals, defer_signals, get_rank, get_world_size, is_slurm_launch

NAMES = ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1, False)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, (1, 2, False)),
        ({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}, (3, 4, True)),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, (0, 1, False)),
        ({"SLURM_PROCID": "0"}, (0, 1, False)),  # a batch script before srun
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "RANK": "5", "WORLD_SIZE": "8"}, (5, 8, False)),
    ],
)
def test_rank_and_world_size(
    environment: dict[str, str], expected: tuple[int, int, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (get_rank(), get_world_size(), is_slurm_launch()) == expected


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list of received signals, empty before and restored after the test; handlers are not changed."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(signals, "_received_signals", [])
    return signals._received_signals


def test_signal_is_deferred_to_the_end_of_the_block(received: list[int]) -> None:
    completed = []

    def run() -> None:
        with defer_signals():
            signals._handle_signal(signal.SIGTERM, None)
            completed.append("block")

    with pytest.raises(signals.StopRequested) as stop:
        run()
    assert (completed, received, stop.value.exit_code) == (["block"], [signal.SIGTERM], 143)


@pytest.mark.usefixtures("received")
def test_signal_is_handled_at_once_where_it_is_allowed() -> None:
    with pytest.raises(signals.StopRequested) as stop, defer_signals(), allow_signals():
        signals._handle_signal(signal.SIGINT, None)
    assert stop.value.exit_code == 130
    assert signals._defer_depth == 0
