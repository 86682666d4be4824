"""Mixed precision by the names used in params.yaml."""

from contextlib import AbstractContextManager, nullcontext

import torch

PRECISIONS = {"bf16": torch.bfloat16, "16": torch.float16}


def mixed(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return what a network runs within: 32, bf16 or 16 bits."""
    return nullcontext() if precision == "32" else torch.autocast(device.type, PRECISIONS[precision])
