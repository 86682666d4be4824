"""Recurrent networks before training: number of parameters and initial weights."""

import pytest
import torch
from torch import nn

from fivefold.config.networks.rnn import Rnn
from fivefold.models.factory import InputSpec

from .helpers import recurrent_network, rnn_config

SERIES, LANGUAGE = InputSpec((12, 1), 1), InputSpec((20,), 50, vocab_size=50)


@pytest.mark.parametrize(
    ("params", "shape", "expected"),
    [
        # 20 units from 10 values and 20 units, two biases each: 200 + 400 + 40. 20 into 2: 42.
        (rnn_config(cell="rnn", hidden=(20,)), InputSpec((5, 10), 2), 682),
        (rnn_config(cell="rnn", hidden=(20,)), InputSpec((5, 11), 2, has_mask=True), 682),
        # The LSTM 64-32-1: four gates of 64 from 1 and 64, two biases each: 4 x (64 + 4,096 + 128) = 17,152. Four of 32
        # from 64 and 32: 4 x (2,048 + 1,024 + 64) = 12,544. 32 into 1: 33. (Keras has one bias a gate: 29,345.)
        (rnn_config(hidden=(64, 32)), SERIES, 17_152 + 12_544 + 33),
        # Three gates of a GRU of 8 from 1: 3 x (8 + 64 + 16) = 264, twice; then 8 from 16: 3 x (128 + 64 + 16) = 624,
        # twice. 16 into 4: 68. 4 into 1: 5.
        (rnn_config(cell="gru", hidden=(8, 8), bidirectional=True, dense=(4,)), SERIES, 2 * 264 + 2 * 624 + 68 + 5),
        # 50 tokens of 6: 300. A plain cell of 8 from 6: 48 + 64 + 16 = 128. Attention: 72 and 8. 8 into 50: 450.
        (rnn_config(cell="rnn", hidden=(8,), embedding_dim=6, pool="attention"), LANGUAGE, 300 + 128 + 80 + 450),
    ],
)
def test_number_of_parameters_equals_a_count_by_hand(params: Rnn, shape: InputSpec, expected: int) -> None:
    assert sum(parameter.numel() for parameter in recurrent_network(params, shape).parameters()) == expected


def test_initial_weights_are_orthogonal_and_the_forget_gate_is_open() -> None:
    network = recurrent_network(rnn_config(hidden=(8,), bidirectional=True), SERIES)
    for cell in (network.layers[0].forward_rnn, network.layers[0].backward_rnn):
        for gate in cell.weight_hh_l0.split(8):
            torch.testing.assert_close(gate @ gate.T, torch.eye(8))
        bound = (6 / (1 + 8)) ** 0.5  # Glorot & Bengio 2010: of one gate, 1 value in and 8 units out
        assert 0.5 * bound < cell.weight_ih_l0.abs().max() <= bound
        # gates: input, forget, cell, output; both biases are added
        assert (cell.bias_ih_l0 + cell.bias_hh_l0).tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16


def test_init_default_keeps_pytorchs_weights() -> None:
    torch.manual_seed(3)
    torch_rnn = nn.GRU(1, 8, batch_first=True)
    network = recurrent_network(rnn_config(cell="gru", hidden=(8,), init="default"), SERIES, seed=3)
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.layers[0].forward_rnn.parameters(), torch_rnn.parameters(), strict=True)
    )


def test_dropout_is_between_layers_and_before_the_head() -> None:
    network = recurrent_network(rnn_config(hidden=(8, 8), dropout=0.5), SERIES)
    x = torch.randn(4, 12, 1)
    assert torch.equal(network(x), network(x))
    network.train()
    assert not torch.equal(network(x), network(x))
    assert not any("dropout" in name for name in network.state_dict())
