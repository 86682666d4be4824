"""Recurrent networks against PyTorch's own with the same weights: padding, lengths, pooling, outputs at all steps."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from fivefold.config.base import RecurrentCell
from fivefold.config.networks.rnn import Rnn
from fivefold.config.training import AutoLoss
from fivefold.errors import ParamsError
from fivefold.evaluation.predict import predict
from fivefold.export import check_parity, export_onnx
from fivefold.models.factory import InputSpec, build_network
from fivefold.models.inference import InferenceModel, Preprocess, RegressionHead
from fivefold.models.recurrent import CELLS, CausalNetwork
from fivefold.models.rnn.network import RecurrentNetwork, build_pooling
from fivefold.models.serialization import TrainedModel
from fivefold.preprocessing.pipeline import Pipeline

from ..conftest import schema_of
from .helpers import recurrent_network, rnn_config

CELL_NAMES: tuple[RecurrentCell, ...] = ("rnn", "lstm", "gru")
LENGTHS = torch.tensor([7, 3, 1, 5, 7, 2])
ROWS, STEPS, VALUES = 6, 7, 3
ONE = np.zeros(1), np.ones(1)


def padded(seed: int = 0) -> Tensor:
    """Return steps (6, 7, 3) with their mask as last feature; padding is 0."""
    x = torch.randn(ROWS, STEPS, VALUES, generator=torch.Generator().manual_seed(seed))
    real = (torch.arange(STEPS) < LENGTHS[:, None]).float()[:, :, None]
    return torch.cat([x * real, real], dim=2)


def tokens(seed: int = 0) -> Tensor:
    """Return token indices (6, 7) as floats; padding is 0."""
    sampled = torch.randint(1, 9, (ROWS, STEPS), generator=torch.Generator().manual_seed(seed))
    return torch.where(torch.arange(STEPS) < LENGTHS[:, None], sampled, 0).float()


def reference(network: RecurrentNetwork, cell: RecurrentCell, n_features: int, width: int) -> nn.RNNBase:
    """Return PyTorch's multi-layer network with the weights of `network`."""
    bidirectional = network.layers[0].backward_rnn is not None
    torch_network = CELLS[cell](
        n_features, width, num_layers=len(network.layers), bidirectional=bidirectional, batch_first=True
    )
    weights = {}
    for i, layer in enumerate(network.layers):
        for direction, end in ((layer.forward_rnn, ""), (layer.backward_rnn, "_reverse")):
            if direction is not None:
                weights |= {name[:-1] + f"{i}{end}": value for name, value in direction.state_dict().items()}
    torch_network.load_state_dict(weights)
    return torch_network.eval()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELL_NAMES)
class TestAgainstPacked:
    """Against `pack_padded_sequence`, with which a cell never processes padding."""

    def test_real_steps_equal_those_of_a_packed_sequence(self, cell: RecurrentCell, bidirectional: bool) -> None:
        params = rnn_config(cell=cell, hidden=(5, 5), bidirectional=bidirectional)
        network, x = recurrent_network(params, InputSpec((STEPS, VALUES + 1), 4, has_mask=True)), padded()
        torch_network = reference(network, cell, VALUES, 5)
        packed = pack_padded_sequence(x[:, :, :-1], LENGTHS, batch_first=True, enforce_sorted=False)
        out, state = torch_network(packed)
        expected, _ = pad_packed_sequence(out, batch_first=True)
        steps, lengths = network._recurrent_outputs(x)
        assert lengths is not None
        assert lengths.tolist() == LENGTHS.tolist()
        real = torch.arange(STEPS) < LENGTHS[:, None]
        torch.testing.assert_close(steps[real], expected[real])

        last = state[0] if cell == "lstm" else state  # (layers * directions, b, h)
        expected = network.head(torch.cat(list(last[-2:] if bidirectional else last[-1:]), dim=1))
        torch.testing.assert_close(network(x), expected)

    def test_gradients_equal_those_of_a_packed_sequence(self, cell: RecurrentCell, bidirectional: bool) -> None:
        params = rnn_config(cell=cell, hidden=(5,), bidirectional=bidirectional)
        network, x = recurrent_network(params, InputSpec((STEPS, VALUES + 1), 4, has_mask=True)), padded()
        torch_network = reference(network, cell, VALUES, 5)
        network(x).square().sum().backward()
        packed = pack_padded_sequence(x[:, :, :-1], LENGTHS, batch_first=True, enforce_sorted=False)
        state = torch_network(packed)[1]
        last = state[0] if cell == "lstm" else state
        head = copy.deepcopy(network.head)
        head(torch.cat(list(last), dim=1)).square().sum().backward()
        ahead = network.layers[0].forward_rnn
        torch.testing.assert_close(ahead.weight_hh_l0.grad, torch_network.weight_hh_l0.grad)
        torch.testing.assert_close(ahead.weight_ih_l0.grad, torch_network.weight_ih_l0.grad)
        if bidirectional:
            torch.testing.assert_close(
                network.layers[0].backward_rnn.weight_hh_l0.grad, torch_network.weight_hh_l0_reverse.grad
            )

    def test_without_a_mask_it_equals_the_plain_network(self, cell: RecurrentCell, bidirectional: bool) -> None:
        params = rnn_config(cell=cell, hidden=(5, 5), bidirectional=bidirectional)
        network, x = recurrent_network(params, InputSpec((STEPS, VALUES), 4)), torch.randn(ROWS, STEPS, VALUES)
        expected, _ = reference(network, cell, VALUES, 5)(x)
        torch.testing.assert_close(network._recurrent_outputs(x)[0], expected)


ALL_CONFIGS = [
    rnn_config(cell=cell, hidden=(6, 5), bidirectional=bidirectional, pool=pool, dense=(4,))
    for cell in CELL_NAMES
    for bidirectional in (False, True)
    for pool in ("last", "mean", "max", "attention")
]


@pytest.mark.parametrize(
    "params", ALL_CONFIGS, ids=lambda p: f"{p.cell} {p.pool} {'bidirectional' if p.bidirectional else ''}"
)
class TestPadding:
    def test_more_padding_changes_nothing(self, params: Rnn) -> None:
        network, x = recurrent_network(params, InputSpec((STEPS, VALUES + 1), 4, has_mask=True)), padded()
        longer = torch.cat([x, torch.zeros(ROWS, 4, VALUES + 1)], dim=1)
        torch.testing.assert_close(network(longer), network(x))
        for row, n in enumerate(LENGTHS):  # each row alone, without any
            torch.testing.assert_close(network(x[row : row + 1, :n])[0], network(x)[row])

    def test_values_in_padding_change_nothing(self, params: Rnn) -> None:
        network, x = recurrent_network(params, InputSpec((STEPS, VALUES + 1), 4, has_mask=True)), padded()
        noise = torch.where(x[:, :, -1:] == 0, 1e3, 0.0) * torch.tensor([1.0] * VALUES + [0.0])
        assert noise.any()
        torch.testing.assert_close(network(x + noise), network(x), rtol=0, atol=0)

    def test_a_sample_of_padding_only_has_finite_outputs_in_any_batch(self, params: Rnn) -> None:
        for shape, x in (
            (InputSpec((STEPS, VALUES + 1), 4, has_mask=True), padded()),
            (InputSpec((STEPS,), 4, vocab_size=9), tokens()),
        ):
            network = recurrent_network(params, shape)
            empty = torch.zeros_like(x[:1])
            network(torch.cat([x, empty])).square().sum().backward()
            assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
            torch.testing.assert_close(network(torch.cat([x, empty]))[-1:], network(empty))
            assert network(empty).isfinite().all()


def test_an_empty_text_has_finite_outputs_in_onnx(tmp_path: Path) -> None:
    params = rnn_config(hidden=(5,), bidirectional=True, pool="attention", embedding_dim=4)
    vocabulary = tuple("_?abcdefg")
    schema = schema_of((STEPS,)).model_copy(update={"kind": "text", "vocabulary": vocabulary})
    model = InferenceModel(
        Preprocess(Pipeline("float32", ())),
        recurrent_network(params, InputSpec((STEPS,), 1, vocab_size=9)),
        RegressionHead(*ONE),
    )
    saved = TrainedModel(model.eval(), schema, params, AutoLoss(name="auto"), {"name": "m", "fingerprint": "f"})
    x = np.concatenate([tokens(), np.zeros((1, STEPS))]).astype(np.int32)
    export_onnx(saved, x[:2], tmp_path / "model.onnx")
    assert max(check_parity(saved, x, tmp_path / "model.onnx").values()) < 1e-6
    assert np.isfinite(predict(saved.model, x)).all()


def test_a_missing_step_does_not_end_a_sequence() -> None:
    network, x = recurrent_network(rnn_config(hidden=(5,)), InputSpec((STEPS, VALUES + 1), 4, has_mask=True)), padded()
    x[0, 3] = 0
    assert network._recurrent_outputs(x)[1].tolist() == LENGTHS.tolist()


def test_pooling_equals_its_definition() -> None:
    steps, lengths = torch.randn(2, 4, 6), torch.tensor([3, 1])
    assert torch.equal(build_pooling("last", 6, False)(steps, lengths), torch.stack([steps[0, 2], steps[1, 0]]))
    ends = build_pooling("last", 6, True)(steps, lengths)
    assert torch.equal(ends[0], torch.cat([steps[0, 2, :3], steps[0, 0, 3:]]))
    torch.testing.assert_close(build_pooling("mean", 6, False)(steps, lengths)[0], steps[0, :3].mean(0))
    assert torch.equal(build_pooling("max", 6, False)(steps, lengths)[0], steps[0, :3].amax(0))


def test_attention_is_a_mean_weighted_by_additive_scores() -> None:
    # Bahdanau et al. 2015: a = softmax(v tanh(W s + b)), worked out in NumPy
    torch.manual_seed(0)
    attention, steps = build_pooling("attention", 6, False), torch.randn(1, 4, 6)
    w, b, v = (p.detach().numpy() for p in attention.parameters())
    s = steps[0, :3].numpy()
    score = np.exp(np.tanh(s @ w.T + b) @ v[0])
    expected = (score[:, None] * s).sum(0) / score.sum()
    np.testing.assert_allclose(attention(steps, torch.tensor([3]))[0].detach().numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("cell", CELL_NAMES)
class TestForwardAllSteps:
    def test_the_last_real_step_equals_forward(self, cell: RecurrentCell) -> None:
        params = rnn_config(cell=cell, hidden=(6, 5), dense=(4,), dropout=0.5)
        for shape, x in (
            (InputSpec((STEPS,), 9, vocab_size=9), tokens()),
            (InputSpec((STEPS, VALUES + 1), 9, has_mask=True), padded()),
        ):
            network = recurrent_network(params, shape)
            all_steps = network.forward_all_steps(x)
            assert all_steps.shape == (ROWS, STEPS, 9)
            torch.testing.assert_close(all_steps[torch.arange(ROWS), LENGTHS - 1], network(x))

    def test_a_step_does_not_depend_on_later_ones(self, cell: RecurrentCell) -> None:
        network, x = (
            recurrent_network(rnn_config(cell=cell, hidden=(6, 5)), InputSpec((STEPS,), 9, vocab_size=9)),
            tokens(),
        )
        other = x.clone()
        other[:, 4:] = 8
        torch.testing.assert_close(
            network.forward_all_steps(other)[:, :4], network.forward_all_steps(x)[:, :4], rtol=0, atol=0
        )


def test_the_network_implements_the_causal_protocol() -> None:
    assert isinstance(recurrent_network(rnn_config(), InputSpec((STEPS,), 9, vocab_size=9)), CausalNetwork)


@pytest.mark.parametrize("change", [{"bidirectional": True}, {"pool": "mean"}])
def test_a_network_that_depends_on_later_steps_has_no_outputs_at_all_steps(change: dict[str, object]) -> None:
    network = recurrent_network(rnn_config(**change), InputSpec((STEPS,), 9, vocab_size=9))
    message = (
        r"\Alanguage modeling needs a causal network, but this one is bidirectional or pools over all steps; set"
        r" network\.bidirectional: false and network\.pool: last\Z"
    )
    with pytest.raises(ParamsError, match=message):
        network.forward_all_steps(tokens())


@pytest.mark.parametrize("shape", [InputSpec((12,), 2), InputSpec((1, 8, 8), 2)])
def test_samples_without_steps_are_rejected(shape: InputSpec) -> None:
    message = (
        r"network\.family rnn needs samples of shape (steps, values) or tokens, but they have shape"
        f" {shape.shape}; choose family mlp or cnn"
    )
    with pytest.raises(ParamsError, match=message.replace("(", r"\(").replace(")", r"\)")):
        build_network(rnn_config(), shape)
