"""The block `training.augment`: random transforms of training batches, applied on the device before each step."""

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
        raise PydanticCustomError("range", "Input should be a lower and an upper bound, in this order")
    return pair


Fraction = Annotated[float, Field(gt=0, le=1)]


class Augmentation(StrictModel):
    """Random transforms of training samples. 0 and false disable an option; all are disabled by default.

    Validation and test samples are never transformed. Ranges follow Keras (ImageDataGenerator): an angle, a shift or a
    factor is drawn per image. The fixed `rescale` of Keras is `normalize` of the dataset, which also applies to test
    images.
    """

    rotation: float = Field(
        default=0.0, ge=0, le=180, description="maximum rotation angle, degrees, in either direction"
    )
    height_shift: float = Field(default=0.0, ge=0, le=1, description="maximum vertical shift, fraction of the height")
    width_shift: float = Field(default=0.0, ge=0, le=1, description="maximum horizontal shift, fraction of the width")
    shear: float = Field(default=0.0, ge=0, lt=90, description="maximum shear angle, degrees, in either direction")
    zoom: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="height and width are each scaled to between 1 - zoom and 1 + zoom of their extent; below 1"
        " enlarges",
    )
    horizontal_flip: bool = Field(default=False, description="mirror half of the images left to right")
    vertical_flip: bool = Field(default=False, description="mirror half of the images top to bottom")
    crop_padding: int = Field(
        default=0,
        ge=0,
        description="pixels of padding on each side before a random crop to the original size (He et al. 2016)",
    )
    intensity_scale: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="normalized pixel values are multiplied by a factor per image, between 1 - intensity_scale and"
        " 1 + intensity_scale",
    )
    erasing: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="fraction of images in which a rectangle is replaced by the image mean (Zhong et al. 2020)",
    )
    erasing_area: Annotated[tuple[Fraction, Fraction], AfterValidator(_validate_range)] = Field(
        default=(0.02, 0.4), description="minimum and maximum area of the erased rectangle, fraction of the image"
    )
    fill_mode: FillMode = Field(
        default="nearest",
        description="how pixels beyond the edge are filled: with the nearest pixel, one value, a reflection, or the"
        " opposite edge",
    )
    fill_value: float = Field(
        default=0.0,
        ge=0,
        le=255,
        description="pixel value for fill_mode: constant, in the units of the source; 0 is black",
    )
    mixup: float = Field(
        default=0.0,
        ge=0,
        description="alpha: inputs and targets are mixed with those of another row, with weights from Beta(alpha,"
        " alpha) (Zhang et al. 2018)",
    )
    cutmix: float = Field(
        default=0.0,
        ge=0,
        description="alpha: a rectangle is replaced by another image and targets are mixed by its area, 1 minus a"
        " value from Beta(alpha, alpha) (Yun et al. 2019); together with mixup, each row gets one of the two",
    )
    jitter: float = Field(
        default=0.0, ge=0, description="standard deviation of the noise added to each normalized value of a sequence"
    )
    scaling: float = Field(
        default=0.0, ge=0, description="standard deviation of a factor around 1, drawn per feature and sequence"
    )
    time_warp: float = Field(
        default=0.0,
        ge=0,
        description="random time warping of sequences: standard deviation of the logarithm of the speed (Um et al."
        " 2017)",
    )

    @property
    def image_options(self) -> tuple[str, ...]:
        """Enabled options that need images."""
        return self._enabled(IMAGE_OPTIONS)

    @property
    def sequence_options(self) -> tuple[str, ...]:
        """Enabled options that need sequences."""
        return self._enabled(SEQUENCE_OPTIONS)

    @property
    def mixing_options(self) -> tuple[str, ...]:
        """Enabled options that mix rows, which makes class targets soft labels."""
        return self._enabled(MIXING_OPTIONS)

    @property
    def is_active(self) -> bool:
        """Whether any option is enabled."""
        return bool(self._enabled((*IMAGE_OPTIONS, *SEQUENCE_OPTIONS, *GENERAL_OPTIONS)))

    def _enabled(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if getattr(self, name))
