"""What is a feed-forward network's own: embeddings of categories, norms and residual layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from fivefold.errors import ParamsError
from fivefold.families.find import build_network
from fivefold.families.layers import BatchNorm
from fivefold.families.mlp.network import Categories
from fivefold.families.mlp.params import Mlp
from fivefold.families.shape import Shape


class TestEmbedding:
    def test_it_is_a_row_of_the_columns_table(self) -> None:
        embed = Categories((3, 5), 4)
        numbers, first, second = torch.randn(6, 2), torch.arange(6) % 3, torch.arange(6) % 5
        x = torch.cat([numbers, functional.one_hot(first, 3), functional.one_hot(second, 5)], dim=1).float()
        expected = [
            numbers,
            functional.embedding(first, embed.tables[0]),
            functional.embedding(second, embed.tables[1]),
        ]
        assert torch.equal(embed(x), torch.cat(expected, dim=1))

    def test_a_category_that_is_not_known_is_the_zero_vector(self) -> None:
        assert not Categories((3,), 4)(torch.zeros(1, 3)).any()

    def test_a_table_of_categories_alone_can_be_embedded(self) -> None:
        network = build_network(Mlp(family="mlp", embedding=4), Shape((5,), 2, categories=(2, 3)))
        assert network(torch.eye(5)).shape == (5, 2)

    def test_left_out_categories_stay_as_they_are(self) -> None:
        network = build_network(Mlp(family="mlp"), Shape((5,), 2, categories=(2, 3)))
        assert not any(isinstance(module, Categories) for module in network.modules())

    @pytest.mark.parametrize("shape", [Shape((5,), 2), Shape((7, 3), 2, masked=True), Shape((1, 8, 8), 2)])
    def test_asked_for_where_there_is_nothing_to_embed_it_is_refused(self, shape: Shape) -> None:
        message = (
            r"network\.embedding needs text, or a table with categorical columns that `select` does not mix or leave"
            r" out, but is 4 for records of other numbers; leave it out"
        )
        with pytest.raises(ParamsError, match=message):
            build_network(Mlp(family="mlp", embedding=4), shape)


class TestResidual:
    def test_without_its_layers_the_input_passes(self) -> None:
        network = build_network(Mlp(family="mlp", hidden=(8, 8, 8), residual=True), Shape((5,), 2))
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if ".layer." in name:
                    parameter.zero_()
        x = torch.randn(3, 5)
        first, last = network.get_submodule("layers.1"), list(network.get_submodule("layers").children())[-1]
        torch.testing.assert_close(network(x), last(torch.relu(first(x))))

    def test_it_is_the_layer_and_beside_it_the_projected_input(self) -> None:
        network = build_network(Mlp(family="mlp", hidden=(8, 3), residual=True, activation="tanh"), Shape((5,), 2))
        weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
        x = torch.randn(4, 5)
        one = torch.tanh(x @ weights["layers.1.weight"].T + weights["layers.1.bias"])
        layer = torch.tanh(one @ weights["layers.3.layer.0.weight"].T + weights["layers.3.layer.0.bias"])
        two = layer + one @ weights["layers.3.skip.weight"].T
        torch.testing.assert_close(network(x), two @ weights["layers.4.weight"].T + weights["layers.4.bias"])


@pytest.mark.parametrize(("norm", "kind"), [("batch", BatchNorm), ("layer", nn.LayerNorm)])
def test_a_norm_stands_before_each_activation(norm: str, kind: type[nn.Module]) -> None:
    network = build_network(Mlp.model_validate({"family": "mlp", "norm": norm, "dropout": 0.1}), Shape((5,), 2))
    found = [type(module) for module in network.get_submodule("layers")]
    hidden = [nn.Linear, kind, nn.ReLU, nn.Dropout]
    assert found == [nn.Flatten, *hidden, *hidden, nn.Linear]
