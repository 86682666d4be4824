"""The block `augment`: bounds of its values, and enabled options."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from fivefold.config.augmentation import GENERAL_OPTIONS, IMAGE_OPTIONS, SEQUENCE_OPTIONS, Augmentation

INVALID: list[tuple[str, Any, str]] = [
    ("rotation", 181, "less than or equal to 180"),
    ("rotation", -1, "greater than or equal to 0"),
    ("rotation", True, "valid number"),
    ("height_shift", 1.1, "less than or equal to 1"),
    ("width_shift", -0.1, "greater than or equal to 0"),
    ("shear", 90, "less than 90"),
    ("zoom", 1, "less than 1"),
    ("horizontal_flip", 1, "valid boolean"),
    ("crop_padding", 1.5, "valid integer"),
    ("crop_padding", -1, "greater than or equal to 0"),
    ("intensity_scale", 1, "less than 1"),
    ("erasing", 1.5, "less than or equal to 1"),
    ("erasing_area", [0.4, 0.1], "a lower and an upper bound, in this order"),
    ("erasing_area", [0, 0.1], "greater than 0"),
    ("erasing_area", [0.1], "Field required"),
    ("fill_mode", "zeros", "'nearest', 'constant', 'reflect' or 'wrap'"),
    ("fill_value", 256, "less than or equal to 255"),
    ("mixup", -1, "greater than or equal to 0"),
    ("cutmix", float("nan"), "finite number"),
    ("jitter", -0.1, "greater than or equal to 0"),
    ("scaling", -0.1, "greater than or equal to 0"),
    ("time_warp", -0.1, "greater than or equal to 0"),
    ("flip", True, "not permitted"),
]


@pytest.mark.parametrize(("key", "value", "rule"), INVALID)
def test_invalid_value_is_rejected(key: str, value: Any, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        Augmentation.model_validate_json(json.dumps({key: value}))


def test_all_options_are_disabled_by_default() -> None:
    augment = Augmentation.model_validate_json("{}")
    assert not augment.is_active
    assert augment.image_options == augment.sequence_options == augment.mixing_options == ()


@pytest.mark.parametrize("name", [*IMAGE_OPTIONS, *SEQUENCE_OPTIONS, *GENERAL_OPTIONS])
def test_enabled_option_is_listed(name: str) -> None:
    field = Augmentation.model_fields[name].annotation
    augment = Augmentation.model_validate({name: True if field is bool else field(1) / 2 if field is float else 1})
    assert augment.is_active
    assert augment.image_options == ((name,) if name in IMAGE_OPTIONS else ())
    assert augment.sequence_options == ((name,) if name in SEQUENCE_OPTIONS else ())
    assert augment.mixing_options == ((name,) if name in ("mixup", "cutmix") else ())


def test_every_key_is_an_option_or_a_parameter_of_one() -> None:
    assert {*Augmentation.model_fields} == {
        *IMAGE_OPTIONS,
        *SEQUENCE_OPTIONS,
        *GENERAL_OPTIONS,
        "fill_mode",
        "fill_value",
        "erasing_area",
    }
    assert all(field.description for field in Augmentation.model_fields.values())
