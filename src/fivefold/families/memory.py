"""How many rows go through a network at a time: fewer where memory does not suffice."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from ..errors import TrainingError, one_line

T = TypeVar("T")


class Portions:
    """Does what is to be done to a batch with at most `rows` rows at a time; halves that where memory ends.

    Each process has its own: devices that share a batch need not agree, since nothing is sent between them before all
    rows went through.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __call__(self, n: int, work: Callable[[int], T]) -> T:
        """Return work(rows) on a batch of n rows; where memory ends it is called again, with fewer rows.

        Raises:
            torch.OutOfMemoryError: memory does not suffice for a single row.
        """
        while True:
            try:
                return work(self.rows)
            except torch.OutOfMemoryError:
                if min(self.rows, n) == 1:
                    raise
            # only here is the failed attempt, which the exception held, gone
            self.rows = -(-min(self.rows, n) // 2)
            gc.collect()
            torch.cuda.empty_cache()
            print(f"memory does not suffice: rows go through the network {self.rows} at a time; steps stay as they are")


@contextmanager
def memory_needed() -> Iterator[None]:
    """Say in one line that the device's memory does not suffice for what happens within.

    Raises:
        TrainingError: it does not.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            "the device's memory must hold all rows, the network with its optimiser, and what one row needs, but does"
            f" not ({one_line(error)}); make the network narrower, or choose training.accelerator cpu"
        ) from None
