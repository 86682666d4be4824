"""Micro-batching when memory runs out, mixed precision, and the number of threads."""

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch

from ..errors import TrainingError, one_line_message

T = TypeVar("T")

CPU_OUT_OF_MEMORY = "DefaultCPUAllocator: can't allocate memory"
"""Text of the plain RuntimeError that PyTorch raises when a CPU runs out of memory."""


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Return whether an error is an out-of-memory error of a GPU, or of a CPU in PyTorch or NumPy."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or CPU_OUT_OF_MEMORY in str(error)


class MicroBatcher:
    """Processes a batch in micro-batches of at most `micro_batch_size` rows; halves that size when memory runs out.

    Each process has its own instance: devices that share a batch need not agree, because they communicate only after
    all rows are processed.
    """

    def __init__(self, micro_batch_size: int) -> None:
        self.micro_batch_size = micro_batch_size

    def __call__(self, n_rows: int, fn: Callable[[int], T]) -> T:
        """Return fn(micro_batch_size) for a batch of `n_rows`; when out of memory, retry with smaller micro-batches.

        Raises:
            RuntimeError, MemoryError: memory is too small for a single row.
        """
        while True:
            try:
                return fn(self.micro_batch_size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or min(self.micro_batch_size, n_rows) == 1:
                    raise
            # after the except block, where the exception no longer keeps the tensors of the failed attempt alive
            self.micro_batch_size = -(-min(self.micro_batch_size, n_rows) // 2)
            gc.collect()
            torch.cuda.empty_cache()
            print(f"out of memory: micro-batch reduced to {self.micro_batch_size} (effective batch size unchanged)")


@contextmanager
def handle_out_of_memory() -> Iterator[None]:
    """Raise one clear error if the device runs out of memory within the context.

    Raises:
        TrainingError: the device is out of memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        on_gpu = isinstance(error, torch.OutOfMemoryError)
        raise TrainingError(
            "data, network, optimizer state and one row's activations must fit in the device's memory, but do not"
            f" ({one_line_message(error)}); reduce the network's layer sizes, or"
            f" {'set training.accelerator: cpu' if on_gpu else 'use fewer or smaller rows'}"
        ) from None


AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "16": torch.float16}


def autocast_context(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which a network runs with `precision` "32", "bf16" or "16"."""
    return nullcontext() if precision == "32" else torch.autocast(device.type, AUTOCAST_DTYPES[precision])


def set_num_threads(num_threads: int) -> None:
    """Set the number of CPU threads of PyTorch; 0 keeps its default. Another number changes the rounding of sums."""
    if num_threads:
        torch.set_num_threads(num_threads)
