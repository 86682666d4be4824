"""The block `augment` of a training: training batches are altered before each step, on the device."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from .base import StrictModel

FillMode = Literal["nearest", "constant", "reflect", "wrap"]

IMAGE_OPTIONS = (
    "rotation",
    "height_shift",
    "width_shift",
    "shear",
    "zoom",
    "horizontal_flip",
    "vertical_flip",
    "crop_padding",
    "intensity_scale",
    "erasing",
    "cutmix",
)
SEQUENCE_OPTIONS = ("jitter", "scaling", "time_warp")
GENERAL_OPTIONS = ("mixup",)
MIXING_OPTIONS = ("mixup", "cutmix")


def _validate_range(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise PydanticCustomError("range", "Input should be a lower and an upper end, in this order")
    return pair


Fraction = Annotated[float, Field(gt=0, le=1)]


class Augmentation(StrictModel):
    """Every option is off unless it is set; 0 and false are off. Validation and test rows are never altered.

    Ranges are Keras' (ImageDataGenerator): an angle, a shift or a factor is drawn for each image. What Keras does to
    every image alike by its fixed `rescale` is done here by `normalize` of the dataset, to test images as well.
    """

    rotation: float = Field(default=0.0, ge=0, le=180, description="images turn by up to so many degrees, either way")
    height_shift: float = Field(default=0.0, ge=0, le=1, description="images move up or down by up to this share")
    width_shift: float = Field(default=0.0, ge=0, le=1, description="images move left or right by up to this share")
    shear: float = Field(default=0.0, ge=0, lt=90, description="images slant by up to so many degrees, either way")
    zoom: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="height and width show, each, from 1 - zoom to 1 + zoom times their extent; below 1 is closer",
    )
    horizontal_flip: bool = Field(default=False, description="half of the images are mirrored, left to right")
    vertical_flip: bool = Field(default=False, description="half of the images are mirrored, top to bottom")
    crop_padding: int = Field(
        default=0,
        ge=0,
        description="pixels: images are padded by so many on each side, then cut to size at any place (He et al. 2016)",
    )
    intensity_scale: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="values of an image, as normalized, times one factor from 1 - rescale to 1 + rescale",
    )
    erasing: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of images in which a rectangle becomes the image's mean (Zhong et al. 2020)",
    )
    erasing_area: Annotated[tuple[Fraction, Fraction], AfterValidator(_validate_range)] = Field(
        default=(0.02, 0.4), description="least and greatest share of an image that its rectangle covers"
    )
    fill_mode: FillMode = Field(
        default="nearest",
        description="what shows beyond an image's edge: its nearest pixel, one value, its mirror image, or the opposite"
        " edge",
    )
    fill_value: float = Field(
        default=0.0, ge=0, le=255, description="pixel value that fill: constant shows, as in the source; 0 is black"
    )
    mixup: float = Field(
        default=0.0,
        ge=0,
        description="alpha: rows and targets are blended with another row's, the share from Beta(alpha, alpha)"
        " (Zhang et al. 2018)",
    )
    cutmix: float = Field(
        default=0.0,
        ge=0,
        description="alpha: a rectangle shows another image, and targets are blended by its area, 1 minus a share from"
        " Beta(alpha, alpha) (Yun et al. 2019); with mixup too, each row gets one of them",
    )
    jitter: float = Field(
        default=0.0, ge=0, description="deviation of the noise on each value of a sequence, as normalized"
    )
    scaling: float = Field(
        default=0.0, ge=0, description="deviation of a factor around 1, one for each feature of each sequence"
    )
    time_warp: float = Field(
        default=0.0,
        ge=0,
        description="sequences run faster and slower by turns: deviation of the logarithm of their speed"
        " (Um et al. 2017)",
    )

    @property
    def image_options(self) -> tuple[str, ...]:
        """Options that are on and need images."""
        return self._enabled(IMAGE_OPTIONS)

    @property
    def sequence_options(self) -> tuple[str, ...]:
        """Options that are on and need sequences."""
        return self._enabled(SEQUENCE_OPTIONS)

    @property
    def mixing_options(self) -> tuple[str, ...]:
        """Options that are on and blend rows, so that classes become shares of classes."""
        return self._enabled(MIXING_OPTIONS)

    @property
    def is_active(self) -> bool:
        """Whether any option is on."""
        return bool(self._enabled((*IMAGE_OPTIONS, *SEQUENCE_OPTIONS, *GENERAL_OPTIONS)))

    def _enabled(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if getattr(self, name))
