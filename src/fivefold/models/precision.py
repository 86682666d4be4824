"""How many rows go through a network at a time: fewer where memory does not suffice.

What the last digits of numbers depend on: mixed precision by the names used in params.yaml, and threads.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch

from ..errors import TrainingError, one_line_message

T = TypeVar("T")

CPU_OUT_OF_MEMORY = "DefaultCPUAllocator: can't allocate memory"
"""What PyTorch says in a plain RuntimeError where a CPU's memory ends."""


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Say whether an error is that memory does not suffice, of a GPU, or of a CPU in PyTorch or in NumPy."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or CPU_OUT_OF_MEMORY in str(error)


class MicroBatcher:
    """Does what is to be done to a batch with at most `rows` rows at a time; halves that where memory ends.

    Each process has its own: devices that share a batch need not agree, since nothing is sent between them before all
    rows went through.
    """

    def __init__(self, micro_batch_size: int) -> None:
        self.micro_batch_size = micro_batch_size

    def __call__(self, n_rows: int, fn: Callable[[int], T]) -> T:
        """Return work(rows) on a batch of n rows; where memory ends it is called again, with fewer rows.

        Raises:
            RuntimeError, MemoryError: memory does not suffice for a single row.
        """
        while True:
            try:
                return fn(self.micro_batch_size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or min(self.micro_batch_size, n_rows) == 1:
                    raise
            # only here is the failed attempt, which the exception held, gone
            self.micro_batch_size = -(-min(self.micro_batch_size, n_rows) // 2)
            gc.collect()
            torch.cuda.empty_cache()
            print(
                f"memory does not suffice: rows go through the network {self.micro_batch_size} at a time; steps stay as they are"
            )


@contextmanager
def handle_out_of_memory() -> Iterator[None]:
    """Say in one line that the device's memory does not suffice for what happens within.

    Raises:
        TrainingError: it does not.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        on_gpu = isinstance(error, torch.OutOfMemoryError)
        raise TrainingError(
            "the device's memory must hold all rows, the network with its optimiser, and what one row needs, but does"
            f" not ({one_line_message(error)}); make the network narrower, or"
            f" {'choose training.accelerator cpu' if on_gpu else 'bring fewer or smaller rows'}"
        ) from None


AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "16": torch.float16}


def autocast_context(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return what a network runs within: 32, bf16 or 16 bits."""
    return nullcontext() if precision == "32" else torch.autocast(device.type, AUTOCAST_DTYPES[precision])


def set_num_threads(num_threads: int) -> None:
    """Have PyTorch add up on so many threads, 0: as it chooses; sums of floats are others with another number."""
    if num_threads:
        torch.set_num_threads(num_threads)
