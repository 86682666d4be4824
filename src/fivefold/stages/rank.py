"""Which this process is of those that train one network together.

They are started by `training.followers`, by torchrun, or by SLURM's srun. The one of rank 0 is a stage like any other.
Those that follow it only take part in its training: they take no lock, write nothing and say nothing.
"""

import os


def rank() -> int:
    """Return this process's number; 0 if it is alone."""
    return int(os.environ.get("SLURM_PROCID" if by_slurm() else "RANK", "0"))


def world() -> int:
    """Return how many processes there are."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS" if by_slurm() else "WORLD_SIZE", "1"))


def by_slurm() -> bool:
    """Say whether srun started several of us; a batch script alone is one process, however many tasks its job has."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "RANK" not in os.environ
