"""CycleGAN networks: sizes of the paper, rejected data, and the generator in an exported file."""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from fivefold.config.networks.cyclegan import Cyclegan
from fivefold.errors import ParamsError
from fivefold.export import export_onnx
from fivefold.models.cyclegan.network import CycleganNetwork, build, downsampled_sizes
from fivefold.models.factory import InputSpec

from ..helpers import CASES, model_inputs, outputs, saved_of


def cyclegan(**options: Any) -> Cyclegan:
    return Cyclegan(family="cyclegan", **options)


def n_parameters(part: nn.Module) -> int:
    return sum(p.numel() for p in part.parameters())


def test_sizes_are_those_of_the_paper_except_biases_before_norms() -> None:
    params = cyclegan(filters=64, blocks=9, discriminator={"filters": 64, "layers": 4})
    with torch.device("meta"):
        network = CycleganNetwork(params, (3, 256, 256))
        logits = network.discriminators[0](torch.empty(2, 3, 256, 256))
    # junyanz/pytorch-CycleGAN-and-pix2pix prints 11.378 M and 2.765 M; its last discriminator layer has a 4x4 kernel
    assert n_parameters(network.generator.by_target[0]) == 11_378_179 - (64 + 128 + 256 + 18 * 256 + 128 + 64)
    assert n_parameters(network.discriminators[0]) == 2_764_737 - (128 + 256 + 512) - (4 * 4 - 3 * 3) * 512
    assert logits.shape == (2, 1, 16, 16)


@pytest.mark.parametrize(("shape", "sizes"), [((1, 8, 8), [8, 4, 2]), ((3, 33, 17), [(33, 17), (17, 9), (9, 5)])])
def test_images_with_odd_sides_keep_their_size(shape: tuple[int, ...], sizes: list[Any]) -> None:
    params = cyclegan(filters=2, blocks=1, discriminator={"filters": 2, "layers": 1})
    assert downsampled_sizes(params, shape) == [size if isinstance(size, tuple) else (size, size) for size in sizes]
    first, second = CycleganNetwork(params, shape)(torch.rand(2, *shape))
    assert first.shape == second.shape == (2, *shape)


@pytest.mark.parametrize(
    ("options", "shape", "text"),
    [
        (
            {},
            InputSpec((12,), 2, n_classes=2),
            "network.family cyclegan translates images, but samples have shape (12,); choose another family",
        ),
        (
            {},
            InputSpec((1, 8, 8), 3, n_classes=3),
            "network.family cyclegan translates between the two classes of a dataset, but this one has 3; use one with"
            " exactly two",
        ),
        (
            {},
            InputSpec((1, 3, 9), 2, n_classes=2),
            "network.kernel_size must be less than twice the shorter side of an image of 3x9 pixels, but is 7; lower"
            " it, or set a larger `size` of the dataset",
        ),
        (
            {"downsampling": 3},
            InputSpec((1, 8, 9), 2, n_classes=2),
            "network.downsampling must leave at least 2x2 pixels, so it can be at most 2 for images of 8x9 pixels,"
            " but is 3; lower it",
        ),
        (
            {"discriminator": {"layers": 3}},
            InputSpec((1, 8, 8), 2, n_classes=2),
            "network.discriminator.layers must leave at least 2x2 pixels, so it can be at most 2 for images of 8x8"
            " pixels, but is 3; lower it",
        ),
    ],
)
def test_data_that_cannot_be_translated_are_rejected(options: dict[str, Any], shape: InputSpec, text: str) -> None:
    with pytest.raises(ParamsError) as caught:
        build(cyclegan(**options), shape)
    assert str(caught.value) == text


def test_the_limits_named_in_errors_are_accepted() -> None:
    build(cyclegan(filters=1, discriminator={"filters": 1, "layers": 2}), InputSpec((1, 8, 9), 2, n_classes=2))
    tiny = cyclegan(filters=1, kernel_size=5, downsampling=0, discriminator={"filters": 1, "layers": 1})
    assert build(tiny, shape := InputSpec((1, 4, 4), 2, n_classes=2))(torch.rand(1, *shape.shape))[0].shape == (
        1,
        1,
        4,
        4,
    )


def test_an_exported_file_contains_the_generator_of_one_direction_only(tmp_path: Path) -> None:
    case = CASES["cyclegan"]
    saved = saved_of(case)
    export_onnx(saved, model_inputs(case)[:2], tmp_path / "model.onnx")
    sizes = [torch.Size(tensor.dims).numel() for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer]
    generator = n_parameters(saved.model.network.get_submodule("generator.by_target.1"))
    assert generator <= sum(sizes) < generator + 50


def test_target_class_selects_the_generator() -> None:
    case = CASES["cyclegan"]
    x = torch.from_numpy(model_inputs(case))
    first, second = (
        saved_of(case._replace(params=case.params.model_copy(update={"target_class": f"class{i}"}))).model
        for i in range(2)
    )
    features = first.preprocess(x)
    for i, model in enumerate((first, second)):
        translated = outputs(model.network.get_submodule(f"generator.by_target.{i}"), features)
        torch.testing.assert_close(outputs(model, x), (translated * 64 + 128).clamp(0, 255))
    torch.testing.assert_close(outputs(second, x), outputs(saved_of(case).model, x))


def test_an_unknown_target_class_is_rejected() -> None:
    case = CASES["cyclegan"]
    with pytest.raises(
        ParamsError,
        match=r"\Anetwork.target_class must be a class of the dataset, class0 or class1, but is 'cats'; correct it\Z",
    ):
        saved_of(case._replace(params=cyclegan(target_class="cats", discriminator={"layers": 2})))
