"""What the last digits of numbers depend on: mixed precision by the names used in params.yaml, and threads."""

from contextlib import AbstractContextManager, nullcontext

import torch

PRECISIONS = {"bf16": torch.bfloat16, "16": torch.float16}


def mixed(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return what a network runs within: 32, bf16 or 16 bits."""
    return nullcontext() if precision == "32" else torch.autocast(device.type, PRECISIONS[precision])


def use_threads(count: int) -> None:
    """Have PyTorch add up on so many threads, 0: as it chooses; sums of floats are others with another number."""
    if count:
        torch.set_num_threads(count)
