"""A feed-forward network is trained by plain supervised learning."""

from ..lightning import Supervised as Module

__all__ = ["Module"]
