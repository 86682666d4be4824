"""The block `augment`: its bounds, and what of it is on."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from fivefold.config.augmentation import GENERAL_OPTIONS, IMAGE_OPTIONS, SEQUENCE_OPTIONS, Augmentation

BAD: list[tuple[str, Any, str]] = [
    ("rotation", 181, "less than or equal to 180"),
    ("rotation", -1, "greater than or equal to 0"),
    ("rotation", True, "valid number"),
    ("height_shift", 1.1, "less than or equal to 1"),
    ("width_shift", -0.1, "greater than or equal to 0"),
    ("shear", 90, "less than 90"),
    ("zoom", 1, "less than 1"),
    ("horizontal_flip", 1, "valid boolean"),
    ("crop", 1.5, "valid integer"),
    ("crop", -1, "greater than or equal to 0"),
    ("rescale", 1, "less than 1"),
    ("erasing", 1.5, "less than or equal to 1"),
    ("erasing_area", [0.4, 0.1], "a lower and an upper end, in this order"),
    ("erasing_area", [0, 0.1], "greater than 0"),
    ("erasing_area", [0.1], "Field required"),
    ("fill", "zeros", "'nearest', 'constant', 'reflect' or 'wrap'"),
    ("constant", 256, "less than or equal to 255"),
    ("mixup", -1, "greater than or equal to 0"),
    ("cutmix", float("nan"), "finite number"),
    ("jitter", -0.1, "greater than or equal to 0"),
    ("scaling", -0.1, "greater than or equal to 0"),
    ("time_warp", -0.1, "greater than or equal to 0"),
    ("flip", True, "not permitted"),
]


@pytest.mark.parametrize(("key", "value", "rule"), BAD)
def test_a_bad_value_is_refused(key: str, value: Any, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        Augmentation.model_validate_json(json.dumps({key: value}))


def test_everything_is_off_unless_it_is_set() -> None:
    augment = Augmentation.model_validate_json("{}")
    assert not augment.is_active
    assert augment.image_options == augment.sequence_options == augment.mixing_options == ()


@pytest.mark.parametrize("name", [*IMAGE_OPTIONS, *SEQUENCE_OPTIONS, *GENERAL_OPTIONS])
def test_an_option_that_is_on_is_told(name: str) -> None:
    field = Augmentation.model_fields[name].annotation
    augment = Augmentation.model_validate({name: True if field is bool else field(1) / 2 if field is float else 1})
    assert augment.is_active
    assert augment.image_options == ((name,) if name in IMAGE_OPTIONS else ())
    assert augment.sequence_options == ((name,) if name in SEQUENCE_OPTIONS else ())
    assert augment.mixing_options == ((name,) if name in ("mixup", "cutmix") else ())


def test_every_key_is_an_option_or_belongs_to_one() -> None:
    assert {*Augmentation.model_fields} == {
        *IMAGE_OPTIONS,
        *SEQUENCE_OPTIONS,
        *GENERAL_OPTIONS,
        "fill",
        "constant",
        "erasing_area",
    }
    assert all(field.description for field in Augmentation.model_fields.values())
