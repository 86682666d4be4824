"""The block `augment`: its bounds, and what of it is on."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from fivefold.config.augmentation import ANY, IMAGES, SEQUENCES, Augment

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
        Augment.model_validate_json(json.dumps({key: value}))


def test_everything_is_off_unless_it_is_set() -> None:
    augment = Augment.model_validate_json("{}")
    assert not augment.active
    assert augment.of_images == augment.of_sequences == augment.mixes == ()


@pytest.mark.parametrize("name", [*IMAGES, *SEQUENCES, *ANY])
def test_an_option_that_is_on_is_told(name: str) -> None:
    field = Augment.model_fields[name].annotation
    augment = Augment.model_validate({name: True if field is bool else field(1) / 2 if field is float else 1})
    assert augment.active
    assert augment.of_images == ((name,) if name in IMAGES else ())
    assert augment.of_sequences == ((name,) if name in SEQUENCES else ())
    assert augment.mixes == ((name,) if name in ("mixup", "cutmix") else ())


def test_every_key_is_an_option_or_belongs_to_one() -> None:
    assert {*Augment.model_fields} == {*IMAGES, *SEQUENCES, *ANY, "fill", "constant", "erasing_area"}
    assert all(field.description for field in Augment.model_fields.values())
