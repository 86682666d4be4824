"""An autoencoder is trained like a network that learns targets, its own records."""

from ..lightning import Supervised as Module

__all__ = ["Module"]
