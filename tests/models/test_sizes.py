"""Number of parameters, by hand or as published, and images that are too small."""

from typing import Any

import pytest
import torch

from fivefold.config.models import NetworkConfig
from fivefold.config.networks.cnn import Fcn, PlainCnn, ResNet, ResNet1d, Tcn, TutorialCnn, Vgg
from fivefold.config.networks.mlp import Mlp
from fivefold.errors import ParamsError
from fivefold.models.factory import InputSpec, build_network

CNN: Any = {"family": "cnn"}
TUTORIAL, PLAIN, MLP = (
    TutorialCnn(**CNN, architecture="tutorial"),
    PlainCnn(**CNN, architecture="plain"),
    Mlp(family="mlp"),
)
WORDS = InputSpec((12,), 10, one_hot_sizes=(3, 4))


@pytest.mark.parametrize(
    ("params", "shape", "expected"),
    [
        # 16 filters of 3x3x1 and a bias: 160. 32 of 3x3x16: 4,640. 28 halves to 14 and 7, so 7 x 7 x 32 = 1,568 numbers
        # into 128 units: 200,832. 128 into 10: 1,290.
        (TUTORIAL, InputSpec((1, 28, 28), 10), 160 + 4_640 + 200_832 + 1_290),
        (TUTORIAL, InputSpec((1, 28, 28), 10), 206_922),
        # As above, but 8 halves to 4 and 2: 2 x 2 x 32 = 128 numbers into 128 units: 16,512.
        (PLAIN, InputSpec((1, 8, 8), 10), 160 + 4_640 + 16_512 + 1_290),
        (PLAIN, InputSpec((1, 8, 8), 10), 22_602),
        # 16 filters of 3x3x3: 448. 33 x 17 halves to 16 x 8 and 8 x 4, so 1,024 numbers into 128 units: 131,200.
        (PLAIN, InputSpec((3, 33, 17), 10), 448 + 4_640 + 131_200 + 1_290),
        # 4 filters of 5x5x1: 104. 8 halves to 4: 64 numbers into 10: 650.
        (
            PlainCnn(**CNN, architecture="plain", channels=(4,), kernel_size=5, dense=()),
            InputSpec((1, 8, 8), 10),
            104 + 650,
        ),
        # Keras' cats and dogs: 896 + 18,496 + 73,856 in filters; 150, 148, 74, 72, 36, 34, 17: 17 x 17 x 128 = 36,992
        # numbers into 512 units: 18,940,416; 512 into 1: 513.
        (
            PlainCnn(**CNN, architecture="plain", channels=(32, 64, 128), padding="valid", dense=(512,)),
            InputSpec((3, 150, 150), 1),
            19_034_177,
        ),
        # 4 filters of 3x3x1 without bias: 36, their norm 8; the mean over all positions: 4 numbers into 10: 50.
        (
            PlainCnn(**CNN, architecture="plain", channels=(4,), norm="batch", head="global_average", dense=()),
            InputSpec((1, 8, 8), 10),
            36 + 8 + 50,
        ),
        # VGG-16 with batch norm for CIFAR-10 has 14,728,266 where its 4,224 filters have biases too (kuangliu).
        (
            Vgg(**CNN, architecture="vgg", channels=(64, 128, 256, 512, 512), convolutions=(2, 2, 3, 3, 3), dense=()),
            InputSpec((3, 32, 32), 10),
            14_728_266 - 4_224,
        ),
        # He et al. 2016, table 6: 0.27 million. Filters 432, then 6 of 16x16x9, one of 16x32x9 and 5 of 32x32x9, one of
        # 32x64x9 and 5 of 64x64x9; two numbers of norm a filter: 1,376; 64 into 10: 650.
        (
            ResNet(**CNN, architecture="resnet"),
            InputSpec((3, 32, 32), 10),
            432 + 6 * 2_304 + 4_608 + 5 * 9_216 + 18_432 + 5 * 36_864 + 1_376 + 650,
        ),
        (ResNet(**CNN, architecture="resnet", depth=20), InputSpec((3, 32, 32), 10), 269_722),
        # Channels 32, 64, 128: 288 + 2 x 9,216 + 18,432 + 36,864 + 73,728 + 147,456 in filters, 960 in norms, 1,290.
        (ResNet(**CNN, architecture="resnet", depth=8, widen_factor=2), InputSpec((1, 28, 28), 10), 297_450),
        # 8x128 + 5x128x256 + 3x256x128 in filters, two numbers of norm for each of 512, 128 into 2: 258.
        (Fcn(**CNN, architecture="fcn"), InputSpec((30, 1), 2), 1_024 + 163_840 + 98_304 + 1_024 + 258),
        # Blocks 512 + 20,480 + 12,288 + 384 and 64 + 128 in the shortcut; 65,536 + 81,920 + 49,152 + 768 and
        # 8,192 + 256; 131,072 + 81,920 + 49,152 + 768 and 256; 128 into 2: 258. The mask is no value.
        (
            ResNet1d(**CNN, architecture="resnet1d"),
            InputSpec((30, 2), 2, has_mask=True),
            33_856 + 205_824 + 263_168 + 258,
        ),
        # Two convolutions of 3x2x8 and 3x8x8, a bias and a length for each filter, a shortcut of 24; two of 3x8x8; 90.
        (Tcn(**CNN, architecture="tcn", channels=(8, 8)), InputSpec((30, 2), 10), 64 + 208 + 24 + 2 * 208 + 90),
        (
            Tcn(**CNN, architecture="tcn", channels=(8, 8), norm="none"),
            InputSpec((30, 2), 10),
            56 + 200 + 24 + 2 * 200 + 90,
        ),
        # 50 tokens of 64 numbers, and 4 filters of 64x2; a shortcut of 260 and 4 filters of 4x2; 50.
        (
            Tcn(**CNN, architecture="tcn", channels=(4,), kernel_size=2, norm="none"),
            InputSpec((9,), 10, vocab_size=50),
            50 * 64 + 516 + 260 + 36 + 50,
        ),
        # 12 into 64: 832. 64 into 32: 2,080. 32 into 10: 330.
        (MLP, InputSpec((12,), 10), 832 + 2_080 + 330),
        # 2 x 3 x 2 pixels are the same 12 numbers.
        (MLP, InputSpec((2, 3, 2), 10), 832 + 2_080 + 330),
        (Mlp(family="mlp", hidden=(), dropout=0.5), InputSpec((12,), 10), 130),
        # A batch norm has two numbers a unit, and the layer before it no bias.
        (Mlp(family="mlp", norm="batch"), InputSpec((12,), 10), 768 + 128 + 2_048 + 64 + 330),
        (Mlp(family="mlp", norm="layer"), InputSpec((12,), 10), 832 + 128 + 2_080 + 64 + 330),
        # The second layer's shortcut takes 64 to 32; that of the third is its input as it is: 1,056 as without.
        (
            Mlp(family="mlp", hidden=(64, 32, 32), residual=True),
            InputSpec((12,), 10),
            832 + 2_080 + 2_048 + 1_056 + 330,
        ),
        # Categories as they are; or 3 + 4 rows of 2 numbers, and 5 + 2 x 2 numbers into 64.
        (MLP, WORDS, 832 + 2_080 + 330),
        (Mlp(family="mlp", embedding_dim=2), WORDS, 14 + 640 + 2_080 + 330),
        # 50 tokens of 64 numbers; 64 into 64: 4,160.
        (MLP, InputSpec((9,), 10, vocab_size=50), 3_200 + 4_160 + 2_080 + 330),
    ],
)
def test_number_of_parameters_equals_a_count_by_hand(params: NetworkConfig, shape: InputSpec, expected: int) -> None:
    assert sum(parameter.numel() for parameter in build_network(params, shape).parameters()) == expected


@pytest.mark.parametrize(("height", "width", "possible"), [(3, 8, 1), (8, 3, 1), (1, 1, 0)])
def test_images_too_small_to_be_halved_are_rejected(height: int, width: int, possible: int) -> None:
    message = (
        rf"network\.channels must have at most {possible} stages for images of {height}x{width} pixels, because each"
        r" stage ends with a pooling that halves them, but has 2; shorten it"
    )
    with pytest.raises(ParamsError, match=message):
        build_network(PLAIN, InputSpec((1, height, width), 10))


def test_unpadded_filters_reduce_the_image_size() -> None:
    # 9, 7, 3, 1, which cannot be halved
    params = PlainCnn(**CNN, architecture="plain", padding="valid")
    message = (
        r"must have at most 1 stages for images of 9x30 pixels, because each stage ends with 3x3 filters"
        r" without padding"
        r" and a"
    )
    with pytest.raises(ParamsError, match=message):
        build_network(params, InputSpec((1, 9, 30), 10))
    # 10, 8, 4, 2, 1
    assert build_network(params, InputSpec((1, 10, 30), 10))(torch.zeros(2, 1, 10, 30)).shape == (2, 10)


def test_the_tutorials_network_names_its_architecture() -> None:
    message = (
        r"network\.architecture tutorial halves images twice and needs at least 4x4 pixels, but they have 28x3; choose"
    )
    with pytest.raises(ParamsError, match=message):
        build_network(TUTORIAL, InputSpec((1, 28, 3), 10))


@pytest.mark.parametrize("params", [TUTORIAL, PLAIN])
def test_the_smallest_possible_images_are_accepted(params: NetworkConfig) -> None:
    assert build_network(params, InputSpec((1, 4, 4), 10))(torch.zeros(2, 1, 4, 4)).shape == (2, 10)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_a_resnet_accepts_images_of_any_size(side: int) -> None:
    network = build_network(ResNet(**CNN, architecture="resnet", depth=8), InputSpec((1, side, side), 10))
    assert network(torch.zeros(2, 1, side, side)).shape == (2, 10)


@pytest.mark.parametrize(
    "params", [Fcn(**CNN, architecture="fcn"), ResNet1d(**CNN, architecture="resnet1d"), Tcn(**CNN, architecture="tcn")]
)
def test_one_step_is_accepted(params: NetworkConfig) -> None:
    assert build_network(params, InputSpec((1, 4), 10))(torch.zeros(2, 1, 4)).shape == (2, 10)


def test_a_network_larger_than_memory_is_rejected_before_it_is_built() -> None:
    wide = Mlp(family="mlp", hidden=(10_000_000, 10_000_000))
    # 10^14 weights of 4 bytes, 372,529 GiB, and little more
    with pytest.raises(
        ParamsError,
        match=r"must fit into memory \(\d+ GiB\), but its weights need 372,5\d\d GiB; reduce the layer sizes",
    ):
        build_network(wide, InputSpec((12,), 10))
