"""The `network` block of CycleGAN: unpaired translation of images between two classes."""

from typing import Literal

from pydantic import Field

from ..base import StrictModel
from .gan import AdversarialLossConfig


class PatchGAN(StrictModel):
    """PatchGAN discriminator, which classifies patches of an image as real or generated (Isola et al. 2017)."""

    filters: int = Field(
        default=64, gt=0, description="filters of the first layer; doubled in each following layer, up to 8x"
    )
    layers: int = Field(
        default=3, gt=0, description="layers with stride 2; more layers enlarge the patch (receptive field)"
    )


class Cyclegan(StrictModel):
    """CycleGAN: a generator and a discriminator for each of two classes of images (Zhu et al. 2017)."""

    family: Literal["cyclegan"]
    filters: int = Field(default=32, gt=0, description="filters of the first layer of a generator; 64 in the paper")
    kernel_size: Literal[3, 5, 7] = Field(
        default=7,
        description="kernel size of the first and last convolution of a generator; 3 preserves details of small images",
    )
    downsampling: int = Field(
        default=2, ge=0, description="downsampling layers of a generator; each halves the image and doubles the filters"
    )
    blocks: int = Field(default=6, gt=0, description="residual blocks of a generator, at the lowest resolution")
    output_activation: Literal["linear", "sigmoid"] = Field(
        default="linear",
        description="output activation of the generators; sigmoid: for pixels between 0 and 1 (normalize: minmax),"
        " which all networks then receive scaled to [-1, 1]",
    )
    discriminator: PatchGAN = PatchGAN()
    loss: AdversarialLossConfig = Field(default={"name": "least_squares"}, validate_default=True)
    lambda_cycle: float = Field(
        default=10.0,
        ge=0,
        description="weight of the cycle-consistency loss: L1 distance between an image and its round-trip translation,"
        " pixels in [-1, 1]",
    )
    lambda_identity: float = Field(
        default=0.5,
        ge=0,
        description="weight of the identity loss, relative to `lambda_cycle`: L1 change of images already in the"
        " target class",
    )
    pool_size: int = Field(
        default=50,
        ge=0,
        description="size of the pool of earlier generated images, which replace half of the new ones in the input of"
        " the discriminators (Shrivastava et al. 2017); 0: no pool",
    )
    discriminator_lr_factor: float = Field(
        default=1.0,
        gt=0,
        description="learning rate of the discriminators, relative to that of the generators (training.optimizer.lr)",
    )
    validate_every: int = Field(
        default=5, gt=0, description="epochs between two validations on translated validation images"
    )
    target_class: str | None = Field(
        default=None,
        min_length=1,
        description="class into which the exported model translates; null: the second class",
    )
