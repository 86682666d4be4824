"""Who a process is, as torchrun, srun and `training.followers` tell it."""

import pytest

from fivefold.stages.signals import get_rank, get_world_size, is_slurm_launch

NAMES = ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, (0, 1, False)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, (1, 2, False)),
        ({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}, (3, 4, True)),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, (0, 1, False)),
        ({"SLURM_PROCID": "0"}, (0, 1, False)),  # a batch script, srun not yet called
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "RANK": "5", "WORLD_SIZE": "8"}, (5, 8, False)),
    ],
)
def test_a_process_knows_its_place(
    told: dict[str, str], expected: tuple[int, int, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert (get_rank(), get_world_size(), is_slurm_launch()) == expected
