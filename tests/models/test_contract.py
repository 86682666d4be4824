"""What every family must do, on the shapes and with the settings it is made for. A family has no private copy."""

import json
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import fivefold.models
from fivefold.config.base import RecurrentCell
from fivefold.config.models import NetworkConfig
from fivefold.config.networks.autoencoder import Autoencoder
from fivefold.config.networks.cnn import (
    IMAGE_ARCHITECTURES,
    SEQUENCE_ARCHITECTURES,
    Fcn,
    PlainCnn,
    ResNet,
    ResNet1d,
    Tcn,
    TutorialCnn,
    Vgg,
)
from fivefold.config.networks.cyclegan import Cyclegan
from fivefold.config.networks.gan import Gan
from fivefold.config.networks.mlp import Mlp
from fivefold.config.networks.rnn import Pooling, Rnn
from fivefold.config.training import AutoLoss, MeanErrorLoss
from fivefold.data.dataset import Array
from fivefold.data.schema import Schema
from fivefold.data.storage import write_manifest
from fivefold.errors import ArtifactError, ParityError
from fivefold.export import check_parity, export_onnx
from fivefold.models.adversarial import discriminator_loss, generator_loss
from fivefold.models.autoencoder.loss import AutoencoderLoss
from fivefold.models.cyclegan.network import CycleganNetwork
from fivefold.models.factory import build_network
from fivefold.models.gan.network import GanNetwork
from fivefold.models.serialization import (
    TrainedModel,
    build_head,
    build_inference_model,
    build_input_example,
    build_input_spec,
    build_output_metadata,
    build_supervised_head,
    infer_signature,
    load_model,
    save_model,
)
from fivefold.preprocessing.pipeline import Pipeline, Step

from ..conftest import schema_of

ROWS = 20
LOSS = AutoLoss(name="auto")
TOKENS = 30
TABLE, GREY, DIGIT, ODD, STEPS = (12,), (1, 28, 28), (1, 8, 8), (3, 33, 17), (7, 3)
CNN: Any = {"family": "cnn"}
AUTO: Any = {"family": "autoencoder", "latent_dim": 24}
GAN: Any = {"family": "gan", "latent_dim": 12}
CYCLE: Any = {"family": "cyclegan", "filters": 4, "blocks": 1, "discriminator": {"filters": 4, "layers": 2}}
MAKES: Any = {"variant": {"name": "variational"}, "mode": {"name": "generation"}}


class Case(NamedTuple):
    """Settings of a network, the shape of its records, its classes (0: values, or nothing), and what its records are.

    kind: "" of a table or images; words: a table with a column of categories; tokens; sequences, padded; series, not.
    """

    params: NetworkConfig
    shape: tuple[int, ...]
    classes: int = 10
    kind: str = ""
    values: int = 1


CASES = {
    "mlp": Case(Mlp(family="mlp"), TABLE),
    "mlp deep": Case(Mlp(family="mlp", hidden=(32, 32, 32, 32), init="kaiming"), TABLE),
    "mlp dropout": Case(Mlp(family="mlp", dropout=0.3), TABLE),
    "mlp silu": Case(Mlp(family="mlp", activation="silu", init="default"), TABLE),
    "mlp of images": Case(Mlp(family="mlp"), ODD),
    "mlp of values": Case(Mlp(family="mlp"), TABLE, classes=0),
    "mlp of three values": Case(Mlp(family="mlp"), TABLE, classes=0, values=3),
    "mlp of numbers and words": Case(Mlp(family="mlp"), TABLE, kind="words"),
    "mlp of sequences": Case(Mlp(family="mlp"), STEPS, kind="sequences"),
    "mlp batch norm": Case(Mlp(family="mlp", norm="batch", init="orthogonal"), TABLE),
    "mlp layer norm": Case(Mlp(family="mlp", norm="layer", activation="elu", init="uniform"), TABLE),
    "mlp residual": Case(Mlp(family="mlp", hidden=(32, 32, 16), residual=True, norm="batch", init="kaiming"), TABLE),
    "mlp of embedded words": Case(Mlp(family="mlp", embedding_dim=3), TABLE, kind="words"),
    "mlp of tokens, their mean": Case(Mlp(family="mlp"), (9,), kind="tokens"),
    "mlp of tokens and of rows of them": Case(Mlp(family="mlp", ngrams=3, buckets=50), (9,), kind="tokens"),
    "mlp of tokens in order": Case(Mlp(family="mlp", pool="flatten", embedding_dim=8), (9,), kind="tokens"),
    "tutorial of 28x28": Case(TutorialCnn(**CNN, architecture="tutorial"), GREY),
    "tutorial of 8x8": Case(TutorialCnn(**CNN, architecture="tutorial"), DIGIT),
    "tutorial of values": Case(TutorialCnn(**CNN, architecture="tutorial"), DIGIT, classes=0),
    "tutorial of 33x17 colours": Case(TutorialCnn(**CNN, architecture="tutorial"), ODD),
    "stack gelu": Case(PlainCnn(**CNN, architecture="plain", activation="gelu", init="xavier", dropout=0.2), DIGIT),
    "stack of values": Case(
        PlainCnn(**CNN, architecture="plain", channels=(8,), kernel_size=5, dense=()), DIGIT, classes=0
    ),
    "stack average, valid": Case(PlainCnn(**CNN, architecture="plain", pool="average", padding="valid"), ODD),
    "stack batch norm, global": Case(
        PlainCnn(**CNN, architecture="plain", channels=(8, 16), norm="batch", head="global_average", dense=()), ODD
    ),
    "stack normal": Case(PlainCnn(**CNN, architecture="plain", activation="leaky_relu", init="normal"), DIGIT),
    "vgg": Case(Vgg(**CNN, architecture="vgg", channels=(8, 16), convolutions=(1, 2), dense=(32,), dropout=0.0), DIGIT),
    "vgg of 33x17 colours, values": Case(
        Vgg(**CNN, architecture="vgg", channels=(8, 16), convolutions=(2, 1), dense=(), dropout=0.1),
        ODD,
        classes=0,
        values=2,
    ),
    "resnet of 8x8": Case(ResNet(**CNN, architecture="resnet", depth=8), DIGIT),
    "resnet of 33x17 colours": Case(ResNet(**CNN, architecture="resnet", depth=8, activation="silu"), ODD),
    "resnet of depth 20": Case(ResNet(**CNN, architecture="resnet"), DIGIT),
    "resnet wide": Case(
        ResNet(**CNN, architecture="resnet", depth=8, widen_factor=2, dropout=0.1), DIGIT, classes=0, values=3
    ),
    "fcn of sequences": Case(Fcn(**CNN, architecture="fcn", channels=(16, 32, 16)), STEPS, kind="sequences"),
    "fcn of a series": Case(Fcn(**CNN, architecture="fcn", channels=(16, 32, 16)), STEPS, classes=0, kind="series"),
    "fcn of tokens, values": Case(
        Fcn(**CNN, architecture="fcn", channels=(16, 32, 16), dropout=0.1), (9,), classes=0, kind="tokens"
    ),
    "resnet1d of sequences, values": Case(
        ResNet1d(**CNN, architecture="resnet1d", channels=(16, 24, 24)), STEPS, classes=0, kind="sequences"
    ),
    "resnet1d of a series": Case(
        ResNet1d(**CNN, architecture="resnet1d", channels=(16, 16), kernel_sizes=(3,), init="orthogonal"),
        STEPS,
        0,
        "series",
        2,
    ),
    "resnet1d of tokens": Case(
        ResNet1d(**CNN, architecture="resnet1d", channels=(16, 24), embedding_dim=8, activation="elu"),
        (9,),
        kind="tokens",
    ),
    "tcn of sequences": Case(Tcn(**CNN, architecture="tcn", channels=(24, 24)), STEPS, kind="sequences"),
    "tcn of a series": Case(
        Tcn(**CNN, architecture="tcn", channels=(24, 16), kernel_size=2), STEPS, classes=0, kind="series"
    ),
    "tcn of tokens, values": Case(
        Tcn(**CNN, architecture="tcn", channels=(24, 24), norm="none", dropout=0.1, init="xavier"), (9,), 0, "tokens"
    ),
    "rnn of sequences": Case(Rnn(family="rnn", cell="rnn"), STEPS, kind="sequences"),
    "lstm of sequences": Case(Rnn(family="rnn"), STEPS, kind="sequences"),
    "gru of sequences, mean": Case(Rnn(family="rnn", cell="gru", pool="mean"), STEPS, kind="sequences"),
    "lstm both ways": Case(Rnn(family="rnn", hidden=(16, 12), bidirectional=True), STEPS, kind="sequences"),
    "gru both ways, max": Case(Rnn(family="rnn", cell="gru", bidirectional=True, pool="max"), STEPS, kind="sequences"),
    "rnn both ways, attention": Case(
        Rnn(family="rnn", cell="rnn", bidirectional=True, pool="attention"), STEPS, kind="sequences"
    ),
    "lstm of steps, attention": Case(
        Rnn(family="rnn", pool="attention", dense=(32,), dropout=0.2), STEPS, kind="series"
    ),
    "gru of steps both ways": Case(
        Rnn(family="rnn", cell="gru", hidden=(16, 16), bidirectional=True), STEPS, kind="series"
    ),
    "lstm of three values": Case(Rnn(family="rnn", hidden=(64, 32)), STEPS, classes=0, kind="series", values=3),
    "lstm of tokens": Case(Rnn(family="rnn", embedding_dim=16), (9,), kind="tokens"),
    "gru of tokens both ways, mean": Case(
        Rnn(family="rnn", cell="gru", bidirectional=True, pool="mean", embedding_dim=16), (9,), kind="tokens"
    ),
    "rnn of tokens, max": Case(
        Rnn(family="rnn", cell="rnn", pool="max", init="default", embedding_dim=16), (9,), kind="tokens"
    ),
    "rnn of sequences, mean, values": Case(
        Rnn(family="rnn", cell="rnn", pool="mean", hidden=(32,)), STEPS, classes=0, kind="sequences"
    ),
    "lstm of sequences, max": Case(Rnn(family="rnn", pool="max", hidden=(32,)), STEPS, kind="sequences"),
    "lstm of tokens, mean, values": Case(
        Rnn(family="rnn", pool="mean", hidden=(32,), embedding_dim=16), (9,), classes=0, kind="tokens", values=2
    ),
    "gru of tokens, attention": Case(
        Rnn(family="rnn", cell="gru", pool="attention", hidden=(32,), embedding_dim=16), (9,), kind="tokens"
    ),
    "autoencoder": Case(Autoencoder(**AUTO), TABLE, classes=0),
    "autoencoder of words": Case(Autoencoder(**AUTO, activation="silu", norm="batch"), TABLE, 0, "words"),
    "autoencoder of images, flat": Case(Autoencoder(**AUTO, hidden=(), latent_activation="tanh"), ODD),
    "autoencoder of sequences, flat": Case(Autoencoder(**AUTO), STEPS, kind="sequences"),
    "autoencoder conv": Case(Autoencoder(**AUTO, architecture="conv", hidden=(8, 16), init="kaiming"), DIGIT),
    "autoencoder conv, batch norm": Case(
        Autoencoder(**AUTO, architecture="conv", hidden=(16, 32), norm="batch", activation="elu"), ODD
    ),
    "autoencoder recurrent": Case(
        Autoencoder(**AUTO, architecture="recurrent", hidden=(24, 16), activation="tanh"), STEPS, kind="sequences"
    ),
    "autoencoder recurrent lstm": Case(
        Autoencoder(**AUTO, architecture="recurrent", hidden=(24,), cell="lstm"), STEPS, kind="series"
    ),
    "autoencoder denoising": Case(Autoencoder(**AUTO, variant={"name": "denoising"}), TABLE),
    "autoencoder sparse": Case(Autoencoder(**AUTO, variant={"name": "sparse"}), TABLE),
    "autoencoder contractive": Case(Autoencoder(**AUTO, variant={"name": "contractive"}), TABLE),
    "autoencoder contractive conv": Case(
        Autoencoder(**AUTO, architecture="conv", hidden=(8,), variant={"name": "contractive"}), DIGIT
    ),
    "autoencoder variational": Case(Autoencoder(**AUTO, variant={"name": "variational"}), TABLE),
    "autoencoder that reduces": Case(
        Autoencoder(**AUTO, variant={"name": "variational"}, mode={"name": "reduction"}), TABLE
    ),
    "autoencoder that generates": Case(Autoencoder(**AUTO, **MAKES, architecture="conv", hidden=(8,)), ODD),
    "autoencoder that generates words": Case(Autoencoder(**AUTO, **MAKES), TABLE, 0, "words"),
    "autoencoder that detects": Case(Autoencoder(**AUTO, mode={"name": "anomaly"}), DIGIT),
    "autoencoder that detects sequences": Case(
        Autoencoder(**AUTO, architecture="recurrent", hidden=(16,), mode={"name": "anomaly"}), STEPS, kind="sequences"
    ),
    "gan": Case(Gan(**GAN), TABLE, classes=0),
    "gan of labelled rows": Case(Gan(**GAN, hidden=(32, 16), conditioning="label"), TABLE),
    "gan of numbers and words": Case(Gan(**GAN, conditioning="label"), TABLE, kind="words"),
    "gan of numbers as they are scaled, and words": Case(Gan(**GAN, numeric_transform="none"), TABLE, 0, "words"),
    "gan of images, flat": Case(Gan(**GAN, norm="spectral", conditioning="projection"), DIGIT),
    "gan of images of a label, flat": Case(Gan(**GAN, hidden=(64, 64), norm="batch", conditioning="label"), ODD),
    "gan dcgan": Case(Gan(**GAN, architecture="dcgan", hidden=(16, 32)), DIGIT, classes=0),
    "gan dcgan of a label": Case(Gan(**GAN, architecture="dcgan", hidden=(8, 16, 32), conditioning="label"), ODD),
    "gan resnet": Case(Gan(**GAN, architecture="resnet", hidden=(16, 32), conditioning="projection"), DIGIT),
    "gan resnet of 33x17 colours": Case(
        Gan(**GAN, architecture="resnet", hidden=(16, 16, 16), conditioning="label", norm="none"), ODD
    ),
    "gan stylegan": Case(Gan(**GAN, architecture="stylegan", hidden=(16, 32)), DIGIT),
    "gan stylegan of a label": Case(Gan(**GAN, architecture="stylegan", hidden=(8, 16), conditioning="label"), ODD),
    "cyclegan": Case(Cyclegan(**CYCLE, downsampling=1), DIGIT, classes=2),
    "cyclegan of 33x17 colours, into the first": Case(Cyclegan(**CYCLE, target_class="class0"), ODD, classes=2),
}

STARTED = {name: case for name, case in CASES.items() if not isinstance(case.params, Gan | Cyclegan | Autoencoder)}
"""Networks that may start from another one, and that a doctor looks into."""


def test_every_family_has_a_case() -> None:
    folder = Path(fivefold.models.__file__).parent
    families = {path.parent.name for path in folder.glob("*/network.py")}
    assert families >= {"mlp", "cnn", "rnn", "autoencoder", "gan", "cyclegan"}
    assert {case.params.family for case in CASES.values()} == families


def test_every_design_tells_classes_and_values() -> None:
    told = {(case.params.architecture, bool(case.classes)) for case in CASES.values() if case.params.family == "cnn"}
    assert len(IMAGE_ARCHITECTURES + SEQUENCE_ARCHITECTURES) == 7
    assert told == set(product((*IMAGE_ARCHITECTURES, *SEQUENCE_ARCHITECTURES), (True, False)))


def test_every_cell_is_pooled_in_every_way() -> None:
    pairs = {(case.params.cell, case.params.pool) for case in CASES.values() if case.params.family == "rnn"}
    assert pairs == set(product(get_args(RecurrentCell), get_args(Pooling)))


def test_every_family_tells_classes_and_values_of_all_that_has_steps() -> None:
    told = {(case.params.family, case.kind, bool(case.classes)) for case in CASES.values()}
    assert told >= set(product(("cnn", "rnn"), ("sequences", "tokens"), (True, False)))
    assert told >= set(product(("cnn", "rnn"), ("series",), (False,)))


def records(case: Case) -> Array:
    """Raw records (20, *shape): a table with gaps, steps with or without padding, tokens, or images."""
    random = np.random.default_rng(0)
    if case.kind == "tokens":
        tokens = random.permutation(ROWS * 9).reshape(ROWS, 9) % (TOKENS - 1) + 1  # each of them somewhere
        return np.where(np.arange(9) < random.integers(1, 10, (ROWS, 1)), tokens, 0).astype(np.int32)
    if case.kind in ("sequences", "series"):
        steps = random.normal(50, 10, (ROWS, *case.shape))
        if case.kind == "sequences":
            steps[np.arange(case.shape[0]) >= random.integers(1, case.shape[0] + 1, (ROWS, 1))] = np.nan
        return steps
    if len(case.shape) > 1:
        c, height, width = case.shape
        blocks = random.integers(0, 256, (ROWS, c, 4, 4), dtype=np.uint8)  # no network could tell noise again
        return blocks.repeat(-(-height // 4), axis=2).repeat(-(-width // 4), axis=3)[:, :, :height, :width]
    x = random.normal(50, 10, (ROWS, *case.shape))
    if case.kind == "words":
        x[:, -1] = np.arange(ROWS) % 3
    return np.where(random.random(x.shape) < 0.05, np.nan, x)


def chain_of(case: Case) -> Pipeline:
    """Raw units to about -2 to 2."""
    if case.kind == "tokens":
        return Pipeline("float32", ())
    if case.kind in ("sequences", "series"):
        scale = Step("affine", {"shift": np.full(3, 50.0), "scale": np.full(3, 0.1)})
        return Pipeline("float64", ()).with_steps(scale, *([Step("mask", {})] if case.kind == "sequences" else []))
    if case.kind == "words":
        n = case.shape[0]
        low, high = np.r_[np.full(n - 1, 35.0), -np.inf, 0], np.r_[np.full(n - 1, 65.0), np.inf, 1]
        shift, scales = np.r_[np.full(n - 1, 50.0), 0, 0], np.r_[np.full(n - 1, 0.1), 1, 1]
        return Pipeline("float64", ()).with_steps(
            Step("missing_indicator", {"index": np.array([0])}),
            Step("impute", {"fill": np.r_[np.full(n - 1, 50.0), 4, 0]}),
            Step("clip", {"low": low, "high": high}),
            Step("affine", {"shift": shift, "scale": scales}),
            Step(
                "one_hot",
                {
                    "keep": np.delete(np.arange(n + 1), n - 1),
                    "column": np.full(4, n - 1),
                    "code": np.array([0.0, 1, 2, 4]),
                },
            ),
        )
    if len(case.shape) > 1:
        return Pipeline("float32", ()).with_steps(Step("affine", {"shift": np.array(128.0), "scale": np.array(1 / 64)}))
    fill, scale = np.full(case.shape, 50.0), np.full(case.shape, 0.1)
    return Pipeline("float64", ()).with_steps(
        Step("impute", {"fill": fill}), Step("affine", {"shift": fill, "scale": scale})
    )


def schema_for(case: Case) -> Schema:
    schema = schema_of(case.shape, case.classes)
    if not case.classes and isinstance(case.params, Autoencoder | Gan):
        schema = schema.model_copy(update={"task": "unsupervised", "target": "", "values": ()})
    elif not case.classes:
        schema = schema.model_copy(update={"values": tuple(f"y{i}" for i in range(case.values))})
    if case.kind == "tokens":
        schema = schema.model_copy(update={"kind": "text", "vocabulary": tuple(f"word{i}" for i in range(TOKENS))})
    return schema.model_copy(update={"kind": case.kind}) if case.kind in ("sequences", "series") else schema


def network_of(case: Case, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_network(case.params, build_input_spec(schema_for(case), chain_of(case), LOSS))


def features(case: Case) -> Tensor:
    return torch.from_numpy(chain_of(case)(records(case)))


def given(case: Case) -> Array:
    """What the whole model takes: raw records, or noise."""
    return build_input_example(infer_signature(case.params, schema_for(case)), records(case), ROWS)


def seen(case: Case) -> Tensor:
    """What the network takes when it is deployed."""
    noise = infer_signature(case.params, schema_for(case)).input_name == "z"
    return torch.from_numpy(given(case)) if noise else features(case)


def loss_of(case: Case, network: nn.Module) -> Tensor:
    """What training makes small; in evaluation mode what validation shows. Of a gan: the critic's, against noise."""
    x = features(case)
    if isinstance(network, CycleganNetwork):
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        losses = [discriminator_loss(case.params.loss, critic(x), critic(noise)) for critic in network.discriminators]
        return torch.stack(losses).mean()
    if isinstance(network, GanNetwork):
        noise, asked = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)), classes_of(case)
        told = network.discriminator(torch.cat([x, noise]), torch.cat([asked, asked]))
        return discriminator_loss(case.params.loss, told[:ROWS], told[ROWS:])
    if isinstance(case.params, Autoencoder):
        torch.manual_seed(0)  # a variational code is drawn
        shape = build_input_spec(schema_for(case), chain_of(case), LOSS)
        objective = AutoencoderLoss(case.params, MeanErrorLoss(name="mse"), shape).train(network.training)
        return objective(network.training_outputs(x), x)
    out = network(x)
    if case.classes:
        return functional.cross_entropy(out, torch.arange(ROWS) % case.classes)
    return functional.mse_loss(out, torch.linspace(-1, 1, ROWS)[:, None].expand_as(out))


def classes_of(case: Case) -> Tensor:
    """What a gan is asked for: one 1 among zeros for each row, or nothing."""
    asked = infer_signature(case.params, schema_for(case)).n_classes
    return torch.from_numpy(given(case)[:, case.params.latent_dim :]) if asked else torch.zeros(ROWS, 0)


def losses_of(case: Case, network: nn.Module) -> Tensor:
    """What training makes small, that of a generator too."""
    loss = loss_of(case, network)
    if isinstance(network, CycleganNetwork):
        for critic, made in zip(network.discriminators, network(features(case)), strict=True):
            loss = loss + generator_loss(case.params.loss, critic(made))
    if isinstance(network, GanNetwork):
        loss = loss + generator_loss(case.params.loss, network.discriminator(network(seen(case)), classes_of(case)))
    return loss


def saved_of(case: Case, seed: int = 0) -> TrainedModel:
    schema, chain = schema_for(case), chain_of(case)
    if isinstance(case.params, Autoencoder | Cyclegan | Gan):
        output = build_head(case.params, schema, chain, LOSS)
    else:
        output = build_supervised_head(schema, LOSS, np.full(case.values, 100.0), np.full(case.values, 7.0))
    model = build_inference_model(case.params, schema, chain, network_of(case, seed), output).eval()
    return TrainedModel(model, schema, case.params, LOSS, {"name": "m", "fingerprint": "f", "best_epoch": 3})


@torch.no_grad()
def outputs(module: nn.Module, x: Tensor) -> Tensor:
    out = module.eval()(x)
    return torch.stack(out, dim=1) if isinstance(out, tuple) else out


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
class TestFamily:
    def test_it_gives_its_outputs_for_each_row(self, case: Case) -> None:
        out = outputs(network_of(case), seen(case))
        if not isinstance(case.params, Autoencoder | Cyclegan | Gan):
            assert out.shape == (ROWS, case.classes or case.values)
        assert out.dtype == torch.float32
        assert out.isfinite().all()

    def test_the_whole_model_gives_what_its_interface_says(self, case: Case) -> None:
        interface = infer_signature(case.params, schema_for(case))
        x = given(case)
        assert (x.shape[1:], str(x.dtype)) == (interface.input_shape, interface.input_dtype)
        told = outputs(saved_of(case).model, torch.from_numpy(x))
        assert (tuple(told.shape[1:]), str(told.dtype)) == (interface.output_shape, f"torch.{interface.output_dtype}")

    def test_every_parameter_gets_a_gradient(self, case: Case) -> None:
        network = network_of(case).train()
        losses_of(case, network).backward()
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        assert gradients
        silent = [name for name, gradient in gradients.items() if gradient is None or not gradient.any()]
        assert silent == []

    def test_it_learns_one_batch_by_heart(self, case: Case) -> None:
        network = network_of(case)
        start = loss_of(case, network.eval()).detach()
        optimizer = torch.optim.Adam(network.train().parameters(), lr=0.01)
        for step in range(200):
            optimizer.zero_grad()
            loss_of(case, network.train()).backward()
            optimizer.step()
            if step % 20 == 19 and loss_of(case, network.eval()).detach() < 0.025 * start:
                break  # half of what is asked for
        assert loss_of(case, network.eval()) < 0.05 * start

    def test_saving_and_loading_gives_equal_predictions(self, case: Case, tmp_path: Path) -> None:
        saved, x = saved_of(case), torch.from_numpy(given(case))
        before = outputs(saved.model, x)
        save_model(saved, tmp_path)
        write_manifest(tmp_path)
        torch.manual_seed(99)  # weights that are not read would show
        loaded = load_model(tmp_path)
        assert not any(module.training for module in loaded.model.modules())
        torch.testing.assert_close(outputs(loaded.model, x), before, rtol=0, atol=0, equal_nan=True)
        assert (loaded.schema, loaded.network_config) == (saved.schema, saved.network_config)
        assert loaded.metadata["best_epoch"] == 3

    def test_the_seed_decides_the_weights(self, case: Case) -> None:
        first, again, other = (network_of(case, seed).state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)

    def test_a_batch_of_one_equals_its_row_in_a_batch_of_many(self, case: Case) -> None:
        network, x = network_of(case), seen(case)
        alone = torch.cat([outputs(network, x[i : i + 1]) for i in range(ROWS)])
        torch.testing.assert_close(alone, outputs(network, x), rtol=1e-4, atol=1e-5)

    def test_onnx_gives_what_pytorch_gives_at_other_batch_sizes(self, case: Case, tmp_path: Path) -> None:
        saved, x = saved_of(case), records(case)
        export_onnx(saved, given(case)[:2], tmp_path / "model.onnx")
        differences = check_parity(saved, x, tmp_path / "model.onnx")
        assert set(differences) == {"1", "7", "64"}
        assert max(differences.values()) < 1e-5
        (facts,) = onnx.load(tmp_path / "model.onnx").metadata_props
        assert json.loads(facts.value)["output"] == json.loads(json.dumps(build_output_metadata(saved)))


def test_an_onnx_file_of_other_weights_is_found_out(tmp_path: Path) -> None:
    x = records(CASES["mlp"])
    export_onnx(saved_of(CASES["mlp"], seed=1), x[:2], tmp_path / "model.onnx")
    message = r"model\.onnx must match PyTorch to 0\.0001, but differs by .* at batch size \d+; do not deploy it"
    with pytest.raises(ParityError, match=message):
        check_parity(saved_of(CASES["mlp"], seed=2), x, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [(" 64", " 65", r"Error\(s\) in loading state_dict"), ("float64", "float65", "'float65'")],
    ids=["units", "numbers"],
)
def test_a_model_of_another_network_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    save_model(saved_of(CASES["mlp"]), tmp_path)
    model = tmp_path / "model.json"
    assert old in model.read_text()
    model.write_text(model.read_text().replace(old, new))
    write_manifest(tmp_path)
    with pytest.raises(ArtifactError, match=f"must contain a model saved by this version, but: {reason}"):
        load_model(tmp_path)
