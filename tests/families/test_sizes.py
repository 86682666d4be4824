import pytest
import torch

from fivefold.errors import ParamsError
from fivefold.families.cnn.params import Cnn
from fivefold.families.find import build_network
from fivefold.families.mlp.params import Mlp
from fivefold.families.shape import Shape
from fivefold.params.models import Network

CNN, MLP = Cnn(family="cnn"), Mlp(family="mlp")


@pytest.mark.parametrize(
    ("params", "shape", "expected"),
    [
        # 16 filters of 3x3x1 and a bias: 160. 32 of 3x3x16: 4,640. 28 halves to 14 and 7, so 7 x 7 x 32 = 1,568 numbers
        # into 128 units: 200,832. 128 into 10: 1,290.
        (CNN, (1, 28, 28), 160 + 4_640 + 200_832 + 1_290),
        (CNN, (1, 28, 28), 206_922),
        # As above, but 8 halves to 4 and 2: 2 x 2 x 32 = 128 numbers into 128 units: 16,512.
        (CNN, (1, 8, 8), 160 + 4_640 + 16_512 + 1_290),
        (CNN, (1, 8, 8), 22_602),
        # 16 filters of 3x3x3: 448. 33 x 17 halves to 16 x 8 and 8 x 4, so 1,024 numbers into 128 units: 131,200.
        (CNN, (3, 33, 17), 448 + 4_640 + 131_200 + 1_290),
        # 4 filters of 5x5x1: 104. 8 halves to 4: 64 numbers into 10: 650.
        (Cnn(family="cnn", channels=(4,), kernel=5, dense=()), (1, 8, 8), 104 + 650),
        # 12 into 64: 832. 64 into 32: 2,080. 32 into 10: 330.
        (MLP, (12,), 832 + 2_080 + 330),
        # 2 x 3 x 2 pixels are the same 12 numbers.
        (MLP, (2, 3, 2), 832 + 2_080 + 330),
        (Mlp(family="mlp", hidden=(), dropout=0.5), (12,), 130),
    ],
)
def test_the_number_of_parameters_is_that_worked_out_by_hand(
    params: Network, shape: tuple[int, ...], expected: int
) -> None:
    network = build_network(params, Shape(shape, 10))
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


@pytest.mark.parametrize(("height", "width", "possible"), [(3, 8, 1), (8, 3, 1), (1, 1, 0)])
def test_images_too_small_to_be_halved_are_refused(height: int, width: int, possible: int) -> None:
    message = (
        rf"network\.channels may halve images of {height}x{width} pixels {possible} times,"
        r" but holds 2 convolutions; shorten it"
    )
    with pytest.raises(ParamsError, match=message):
        build_network(CNN, Shape((1, height, width), 10))


def test_a_network_larger_than_memory_is_refused_before_it_is_made() -> None:
    wide = Mlp(family="mlp", hidden=(10_000_000, 10_000_000))
    # 10^14 weights of 4 bytes, 372,529 GiB, and little beside
    with pytest.raises(ParamsError, match=r"must fit into memory, \d+ GiB, but take 372,5\d\d GiB; make it narrower"):
        build_network(wide, Shape((12,), 10))


def test_the_smallest_images_that_can_be_halved_are_taken() -> None:
    assert build_network(CNN, Shape((1, 4, 4), 10))(torch.zeros(2, 1, 4, 4)).shape == (2, 10)
