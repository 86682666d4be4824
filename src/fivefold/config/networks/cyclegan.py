"""What can be chosen of two generators that translate images between two domains, and of their critics."""

from typing import Literal

from pydantic import Field

from ..base import StrictModel
from .gan import AdversarialLossConfig


class PatchGAN(StrictModel):
    """A critic, which tells of each patch of an image whether it is real (Isola et al. 2017)."""

    filters: int = Field(default=64, gt=0, description="of its first layer; the next ones have twice as many, up to 8x")
    layers: int = Field(
        default=3, gt=0, description="each halves the image, and makes the patch of which one number tells larger"
    )


class Cyclegan(StrictModel):
    """Two generators, one into each class of a dataset of images, and a critic of each (Zhu et al. 2017)."""

    family: Literal["cyclegan"]
    filters: int = Field(default=32, gt=0, description="of a generator's first layer; 64 in the paper")
    kernel_size: Literal[3, 5, 7] = Field(
        default=7,
        description="width of a generator's first and last convolution; 3 suits images of few pixels, which keep their"
        " strokes where they are",
    )
    downsampling: int = Field(
        default=2, ge=0, description="layers of a generator that halve the image and double the filters"
    )
    blocks: int = Field(default=6, gt=0, description="residual blocks of a generator, where the image is smallest")
    output_activation: Literal["linear", "sigmoid"] = Field(
        default="linear",
        description="activation of what is made; sigmoid: for pixels between 0 and 1, normalize minmax, which all"
        " players then see between -1 and 1",
    )
    discriminator: PatchGAN = PatchGAN()
    loss: AdversarialLossConfig = Field(default={"name": "least_squares"}, validate_default=True)
    lambda_cycle: float = Field(
        default=10.0,
        ge=0,
        description="weight of the absolute difference of an image from its translation's translation back; pixels"
        " being between -1 and 1",
    )
    lambda_identity: float = Field(
        default=0.5,
        ge=0,
        description="weight, in that of `cycle`, of how a generator changes images that are of its class already",
    )
    pool_size: int = Field(
        default=50,
        ge=0,
        description="made images of earlier steps that are kept; a critic sees one of them for every other new one"
        " (Shrivastava et al. 2017); 0: new ones alone",
    )
    discriminator_lr_factor: float = Field(
        default=1.0, gt=0, description="the critics' learning rate, in those of the generators, training.optimizer.lr"
    )
    validate_every: int = Field(default=5, gt=0, description="epochs between two looks at translated validation rows")
    target_class: str | None = Field(
        default=None,
        min_length=1,
        description="class that the exported file translates into, from the other one; null: the second",
    )
