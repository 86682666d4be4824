"""Multilayer perceptrons: embeddings of categories and n-grams, norms and residual layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from fivefold.config.networks.mlp import Mlp
from fivefold.errors import ParamsError
from fivefold.models.factory import InputSpec, build_network
from fivefold.models.layers import BatchNorm
from fivefold.models.mlp.network import HASH_MULTIPLIER, CategoryEmbedding, NgramEmbeddingBag


class TestEmbedding:
    def test_an_embedding_is_a_row_of_the_columns_table(self) -> None:
        embed = CategoryEmbedding((3, 5), 4)
        numbers, first, second = torch.randn(6, 2), torch.arange(6) % 3, torch.arange(6) % 5
        x = torch.cat([numbers, functional.one_hot(first, 3), functional.one_hot(second, 5)], dim=1).float()
        expected = [
            numbers,
            functional.embedding(first, embed.embeddings[0]),
            functional.embedding(second, embed.embeddings[1]),
        ]
        assert torch.equal(embed(x), torch.cat(expected, dim=1))

    def test_an_unknown_category_is_the_zero_vector(self) -> None:
        assert not CategoryEmbedding((3,), 4)(torch.zeros(1, 3)).any()

    def test_a_table_of_categories_alone_can_be_embedded(self) -> None:
        network = build_network(Mlp(family="mlp", embedding_dim=4), InputSpec((5,), 2, one_hot_sizes=(2, 3)))
        assert network(torch.eye(5)).shape == (5, 2)

    def test_without_embedding_dim_categories_stay_one_hot(self) -> None:
        network = build_network(Mlp(family="mlp"), InputSpec((5,), 2, one_hot_sizes=(2, 3)))
        assert not any(isinstance(module, CategoryEmbedding) for module in network.modules())

    @pytest.mark.parametrize(
        "shape", [InputSpec((5,), 2), InputSpec((7, 3), 2, has_mask=True), InputSpec((1, 8, 8), 2)]
    )
    def test_an_embedding_of_numeric_features_is_rejected(self, shape: InputSpec) -> None:
        message = (
            r"network\.embedding_dim needs text, or a table with categorical columns that `select` neither drops"
            r" nor projects, but is 4 and all features are numeric; remove it"
        )
        with pytest.raises(ParamsError, match=message):
            build_network(Mlp(family="mlp", embedding_dim=4), shape)


class TestNgramEmbeddingBag:
    """Texts of five positions; tokens are numbered from 2, 1 is an unknown token, 0 padding."""

    X = torch.tensor([[2, 3, 2, 4, 1], [3, 2, 0, 0, 0], [5, 0, 0, 0, 0], [0, 0, 0, 0, 0]])

    def test_tokens_and_ngrams_have_equal_weights_in_the_mean(self) -> None:
        bag = NgramEmbeddingBag(vocab_size=6, embedding_dim=4, ngrams=3, buckets=1000)
        with torch.no_grad():
            vectors = bag(self.X)
        for text, vector in zip(self.X.tolist(), vectors, strict=True):
            real = [token for token in text if token]
            indices = [*real]
            for n in (2, 3):
                for start in range(len(real) - n + 1):
                    key = 0
                    for token in real[start : start + n]:
                        key = (key * HASH_MULTIPLIER + token) % 1000
                    indices.append(6 + key)
            expected = bag.embedding.weight[indices].sum(dim=0) / max(len(indices), 1)
            torch.testing.assert_close(vector, expected)

    def test_only_ngrams_depend_on_the_order_of_words(self) -> None:
        x = torch.tensor([[2, 3, 4], [4, 3, 2]])
        words, rows = NgramEmbeddingBag(6, 4, ngrams=1, buckets=1000), NgramEmbeddingBag(6, 4, ngrams=2, buckets=1000)
        torch.testing.assert_close(words(x)[0], words(x)[1])
        assert not torch.allclose(rows(x)[0], rows(x)[1])

    def test_bigrams_seldom_share_a_bucket(self) -> None:
        # 10,000 pairs in 2^16 buckets: at random 2^16 x (1 - exp(-10,000 / 2^16)) buckets are used, 9,274
        first, second = torch.meshgrid(torch.arange(2, 102), torch.arange(2, 102), indexing="ij")
        pairs = torch.stack([first.flatten(), second.flatten()], dim=1)
        indices = NgramEmbeddingBag(102, 1, ngrams=2, buckets=2**16)._ngram_indices(pairs)[:, 2]
        assert len(indices.unique()) > 9000
        assert indices.min() >= 102

    def test_unigrams_need_no_buckets(self) -> None:
        assert len(NgramEmbeddingBag(6, 4, ngrams=1, buckets=1000).embedding.weight) == 6

    def test_a_text_shorter_than_an_ngram_has_its_tokens(self) -> None:
        assert NgramEmbeddingBag(6, 4, ngrams=5, buckets=10)(torch.tensor([[2, 3]])).shape == (1, 4)


class TestResidual:
    def test_a_residual_layer_of_zeros_passes_its_input(self) -> None:
        network = build_network(Mlp(family="mlp", hidden=(8, 8, 8), residual=True), InputSpec((5,), 2))
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if ".layer." in name:
                    parameter.zero_()
        x = torch.randn(3, 5)
        first, last = network.get_submodule("layers.1"), list(network.get_submodule("layers").children())[-1]
        torch.testing.assert_close(network(x), last(torch.relu(first(x))))

    def test_a_residual_layer_adds_its_projected_input(self) -> None:
        network = build_network(Mlp(family="mlp", hidden=(8, 3), residual=True, activation="tanh"), InputSpec((5,), 2))
        weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
        x = torch.randn(4, 5)
        one = torch.tanh(x @ weights["layers.1.weight"].T + weights["layers.1.bias"])
        layer = torch.tanh(one @ weights["layers.3.layer.0.weight"].T + weights["layers.3.layer.0.bias"])
        two = layer + one @ weights["layers.3.skip.weight"].T
        torch.testing.assert_close(network(x), two @ weights["layers.4.weight"].T + weights["layers.4.bias"])


@pytest.mark.parametrize(("norm", "kind"), [("batch", BatchNorm), ("layer", nn.LayerNorm)])
def test_a_norm_precedes_each_activation(norm: str, kind: type[nn.Module]) -> None:
    network = build_network(Mlp.model_validate({"family": "mlp", "norm": norm, "dropout": 0.1}), InputSpec((5,), 2))
    found = [type(module) for module in network.get_submodule("layers")]
    hidden = [nn.Linear, kind, nn.ReLU, nn.Dropout]
    assert found == [nn.Flatten, *hidden, *hidden, nn.Linear]
