"""A recurrent network is trained by plain supervised learning."""

from ..supervised import Supervised as Module

__all__ = ["Module"]
