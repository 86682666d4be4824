"""How many rows go through a network at a time: fewer where memory does not suffice.

What the last digits of numbers depend on: mixed precision by the names used in params.yaml, and threads.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch

from ..errors import TrainingError, one_line

T = TypeVar("T")

ON_CPU = "DefaultCPUAllocator: can't allocate memory"
"""What PyTorch says in a plain RuntimeError where a CPU's memory ends."""


def memory_ended(error: RuntimeError | MemoryError) -> bool:
    """Say whether an error is that memory does not suffice, of a GPU, or of a CPU in PyTorch or in NumPy."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or ON_CPU in str(error)


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
            RuntimeError, MemoryError: memory does not suffice for a single row.
        """
        while True:
            try:
                return work(self.rows)
            except (RuntimeError, MemoryError) as error:
                if not memory_ended(error) or min(self.rows, n) == 1:
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
    except (RuntimeError, MemoryError) as error:
        if not memory_ended(error):
            raise
        on_gpu = isinstance(error, torch.OutOfMemoryError)
        raise TrainingError(
            "the device's memory must hold all rows, the network with its optimiser, and what one row needs, but does"
            f" not ({one_line(error)}); make the network narrower, or"
            f" {'choose training.accelerator cpu' if on_gpu else 'bring fewer or smaller rows'}"
        ) from None


PRECISIONS = {"bf16": torch.bfloat16, "16": torch.float16}


def mixed(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return what a network runs within: 32, bf16 or 16 bits."""
    return nullcontext() if precision == "32" else torch.autocast(device.type, PRECISIONS[precision])


def use_threads(count: int) -> None:
    """Have PyTorch add up on so many threads, 0: as it chooses; sums of floats are others with another number."""
    if count:
        torch.set_num_threads(count)
