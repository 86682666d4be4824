"""Networks of every family with the data they are tested on, shared by the tests of all packages."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.config.models import NetworkConfig
from fivefold.config.networks.autoencoder import Autoencoder
from fivefold.config.networks.cnn import (
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
from fivefold.config.networks.rnn import Rnn
from fivefold.config.training import AutoLoss, MeanErrorLoss
from fivefold.data.dataset import Array
from fivefold.data.schema import Schema
from fivefold.models.adversarial import discriminator_loss, generator_loss
from fivefold.models.autoencoder.loss import AutoencoderLoss
from fivefold.models.cyclegan.network import CycleganNetwork
from fivefold.models.factory import InputSpec, build_network
from fivefold.models.gan.network import GanNetwork
from fivefold.models.rnn.network import RecurrentNetwork
from fivefold.models.serialization import (
    TrainedModel,
    build_head,
    build_inference_model,
    build_input_example,
    build_input_spec,
    build_supervised_head,
    infer_signature,
)
from fivefold.preprocessing.pipeline import Pipeline, Step

from ..conftest import schema_of

ROWS = 20
LOSS = AutoLoss(name="auto")
TOKENS = 30
TABLE, GREY, DIGIT, ODD, STEPS = (12,), (1, 28, 28), (1, 8, 8), (3, 33, 17), (7, 3)
CNN: Any = {"family": "cnn"}
AUTOENCODER: Any = {"family": "autoencoder", "latent_dim": 24}
GAN: Any = {"family": "gan", "latent_dim": 12}
CYCLEGAN: Any = {"family": "cyclegan", "filters": 4, "blocks": 1, "discriminator": {"filters": 4, "layers": 2}}
GENERATION: Any = {"variant": {"name": "variational"}, "mode": {"name": "generation"}}


class Case(NamedTuple):
    """A network configuration and the data that it is tested on.

    Attributes:
        params: configuration of the network.
        shape: of one raw sample.
        classes: number of classes; 0 for regression or without a target.
        kind: "" for tables and images, "words" for tables with a categorical column, "tokens", "sequences" (padded) or
            "series" (not padded).
        values: number of numeric targets.
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
    "tutorial of 33x17 colors": Case(TutorialCnn(**CNN, architecture="tutorial"), ODD),
    "plain gelu": Case(PlainCnn(**CNN, architecture="plain", activation="gelu", init="xavier", dropout=0.2), DIGIT),
    "plain of values": Case(
        PlainCnn(**CNN, architecture="plain", channels=(8,), kernel_size=5, dense=()), DIGIT, classes=0
    ),
    "plain average, valid": Case(PlainCnn(**CNN, architecture="plain", pool="average", padding="valid"), ODD),
    "plain batch norm, global": Case(
        PlainCnn(**CNN, architecture="plain", channels=(8, 16), norm="batch", head="global_average", dense=()), ODD
    ),
    "plain normal": Case(PlainCnn(**CNN, architecture="plain", activation="leaky_relu", init="normal"), DIGIT),
    "vgg": Case(Vgg(**CNN, architecture="vgg", channels=(8, 16), convolutions=(1, 2), dense=(32,), dropout=0.0), DIGIT),
    "vgg of 33x17 colors, values": Case(
        Vgg(**CNN, architecture="vgg", channels=(8, 16), convolutions=(2, 1), dense=(), dropout=0.1),
        ODD,
        classes=0,
        values=2,
    ),
    "resnet of 8x8": Case(ResNet(**CNN, architecture="resnet", depth=8), DIGIT),
    "resnet of 33x17 colors": Case(ResNet(**CNN, architecture="resnet", depth=8, activation="silu"), ODD),
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
    "autoencoder": Case(Autoencoder(**AUTOENCODER), TABLE, classes=0),
    "autoencoder of words": Case(Autoencoder(**AUTOENCODER, activation="silu", norm="batch"), TABLE, 0, "words"),
    "autoencoder of images, flat": Case(Autoencoder(**AUTOENCODER, hidden=(), latent_activation="tanh"), ODD),
    "autoencoder of sequences, flat": Case(Autoencoder(**AUTOENCODER), STEPS, kind="sequences"),
    "autoencoder conv": Case(Autoencoder(**AUTOENCODER, architecture="conv", hidden=(8, 16), init="kaiming"), DIGIT),
    "autoencoder conv, batch norm": Case(
        Autoencoder(**AUTOENCODER, architecture="conv", hidden=(16, 32), norm="batch", activation="elu"), ODD
    ),
    "autoencoder recurrent": Case(
        Autoencoder(**AUTOENCODER, architecture="recurrent", hidden=(24, 16), activation="tanh"),
        STEPS,
        kind="sequences",
    ),
    "autoencoder recurrent lstm": Case(
        Autoencoder(**AUTOENCODER, architecture="recurrent", hidden=(24,), cell="lstm"), STEPS, kind="series"
    ),
    "autoencoder denoising": Case(Autoencoder(**AUTOENCODER, variant={"name": "denoising"}), TABLE),
    "autoencoder sparse": Case(Autoencoder(**AUTOENCODER, variant={"name": "sparse"}), TABLE),
    "autoencoder contractive": Case(Autoencoder(**AUTOENCODER, variant={"name": "contractive"}), TABLE),
    "autoencoder contractive conv": Case(
        Autoencoder(**AUTOENCODER, architecture="conv", hidden=(8,), variant={"name": "contractive"}), DIGIT
    ),
    "autoencoder variational": Case(Autoencoder(**AUTOENCODER, variant={"name": "variational"}), TABLE),
    "autoencoder that reduces": Case(
        Autoencoder(**AUTOENCODER, variant={"name": "variational"}, mode={"name": "reduction"}), TABLE
    ),
    "autoencoder that generates": Case(Autoencoder(**AUTOENCODER, **GENERATION, architecture="conv", hidden=(8,)), ODD),
    "autoencoder that generates words": Case(Autoencoder(**AUTOENCODER, **GENERATION), TABLE, 0, "words"),
    "autoencoder that detects": Case(Autoencoder(**AUTOENCODER, mode={"name": "anomaly"}), DIGIT),
    "autoencoder that detects sequences": Case(
        Autoencoder(**AUTOENCODER, architecture="recurrent", hidden=(16,), mode={"name": "anomaly"}),
        STEPS,
        kind="sequences",
    ),
    "gan": Case(Gan(**GAN), TABLE, classes=0),
    "gan of labelled rows": Case(Gan(**GAN, hidden=(32, 16), conditioning="label"), TABLE),
    "gan of numbers and words": Case(Gan(**GAN, conditioning="label"), TABLE, kind="words"),
    "gan of scaled numbers and words": Case(Gan(**GAN, numeric_transform="none"), TABLE, 0, "words"),
    "gan of images, flat": Case(Gan(**GAN, norm="spectral", conditioning="projection"), DIGIT),
    "gan of images of a label, flat": Case(Gan(**GAN, hidden=(64, 64), norm="batch", conditioning="label"), ODD),
    "gan dcgan": Case(Gan(**GAN, architecture="dcgan", hidden=(16, 32)), DIGIT, classes=0),
    "gan dcgan of a label": Case(Gan(**GAN, architecture="dcgan", hidden=(8, 16, 32), conditioning="label"), ODD),
    "gan resnet": Case(Gan(**GAN, architecture="resnet", hidden=(16, 32), conditioning="projection"), DIGIT),
    "gan resnet of 33x17 colors": Case(
        Gan(**GAN, architecture="resnet", hidden=(16, 16, 16), conditioning="label", norm="none"), ODD
    ),
    "gan stylegan": Case(Gan(**GAN, architecture="stylegan", hidden=(16, 32)), DIGIT),
    "gan stylegan of a label": Case(Gan(**GAN, architecture="stylegan", hidden=(8, 16), conditioning="label"), ODD),
    "cyclegan": Case(Cyclegan(**CYCLEGAN, downsampling=1), DIGIT, classes=2),
    "cyclegan of 33x17 colors, into the first": Case(Cyclegan(**CYCLEGAN, target_class="class0"), ODD, classes=2),
}
STARTED = {name: case for name, case in CASES.items() if not isinstance(case.params, Gan | Cyclegan | Autoencoder)}
"""Networks that can be initialized from a pretrained one, and for which training diagnostics are computed."""


def records(case: Case) -> Array:
    """Return raw samples (20, *shape): a table with missing values, steps with or without padding, tokens or images."""
    random = np.random.default_rng(0)
    if case.kind == "tokens":
        tokens = random.permutation(ROWS * 9).reshape(ROWS, 9) % (TOKENS - 1) + 1  # every token occurs
        return np.where(np.arange(9) < random.integers(1, 10, (ROWS, 1)), tokens, 0).astype(np.int32)
    if case.kind in ("sequences", "series"):
        steps = random.normal(50, 10, (ROWS, *case.shape))
        if case.kind == "sequences":
            steps[np.arange(case.shape[0]) >= random.integers(1, case.shape[0] + 1, (ROWS, 1))] = np.nan
        return steps
    if len(case.shape) > 1:
        c, height, width = case.shape
        blocks = random.integers(
            0, 256, (ROWS, c, 4, 4), dtype=np.uint8
        )  # blocks, because noise cannot be reconstructed
        return blocks.repeat(-(-height // 4), axis=2).repeat(-(-width // 4), axis=3)[:, :, :height, :width]
    x = random.normal(50, 10, (ROWS, *case.shape))
    if case.kind == "words":
        x[:, -1] = np.arange(ROWS) % 3
    return np.where(random.random(x.shape) < 0.05, np.nan, x)


def pipeline_of(case: Case) -> Pipeline:
    """Return a preprocessing that scales raw samples to about -2 to 2."""
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
    """Return the schema of the data of a case."""
    schema = schema_of(case.shape, case.classes)
    if not case.classes and isinstance(case.params, Autoencoder | Gan):
        schema = schema.model_copy(update={"task": "unsupervised", "target": "", "values": ()})
    elif not case.classes:
        schema = schema.model_copy(update={"values": tuple(f"y{i}" for i in range(case.values))})
    if case.kind == "tokens":
        schema = schema.model_copy(update={"kind": "text", "vocabulary": tuple(f"word{i}" for i in range(TOKENS))})
    return schema.model_copy(update={"kind": case.kind}) if case.kind in ("sequences", "series") else schema


def network_of(case: Case, seed: int = 0) -> nn.Module:
    """Return the network with weights drawn from `seed`."""
    torch.manual_seed(seed)
    return build_network(case.params, build_input_spec(schema_for(case), pipeline_of(case), LOSS))


def features(case: Case) -> Tensor:
    """Return the preprocessed samples."""
    return torch.from_numpy(pipeline_of(case)(records(case)))


def model_inputs(case: Case) -> Array:
    """Return the inputs of the deployed model: raw samples, or noise."""
    return build_input_example(infer_signature(case.params, schema_for(case)), records(case), ROWS)


def network_inputs(case: Case) -> Tensor:
    """Return the inputs of the network in the deployed model."""
    is_generator = infer_signature(case.params, schema_for(case)).input_name == "z"
    return torch.from_numpy(model_inputs(case)) if is_generator else features(case)


def training_loss(case: Case, network: nn.Module) -> Tensor:
    """Return the training loss, in evaluation mode the validation loss; of a GAN the discriminator's on noise."""
    x = features(case)
    if isinstance(network, CycleganNetwork):
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        losses = [
            discriminator_loss(case.params.loss, discriminator(x), discriminator(noise))
            for discriminator in network.discriminators
        ]
        return torch.stack(losses).mean()
    if isinstance(network, GanNetwork):
        noise, classes = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)), one_hot_classes(case)
        logits = network.discriminator(torch.cat([x, noise]), torch.cat([classes, classes]))
        return discriminator_loss(case.params.loss, logits[:ROWS], logits[ROWS:])
    if isinstance(case.params, Autoencoder):
        torch.manual_seed(0)  # a variational latent code is sampled
        spec = build_input_spec(schema_for(case), pipeline_of(case), LOSS)
        criterion = AutoencoderLoss(case.params, MeanErrorLoss(name="mse"), spec).train(network.training)
        return criterion(network.training_outputs(x), x)
    out = network(x)
    if case.classes:
        return functional.cross_entropy(out, torch.arange(ROWS) % case.classes)
    return functional.mse_loss(out, torch.linspace(-1, 1, ROWS)[:, None].expand_as(out))


def one_hot_classes(case: Case) -> Tensor:
    """Return the one-hot classes that a GAN is conditioned on, (20, k); (20, 0) without conditioning."""
    n_classes = infer_signature(case.params, schema_for(case)).n_classes
    return torch.from_numpy(model_inputs(case)[:, case.params.latent_dim :]) if n_classes else torch.zeros(ROWS, 0)


def total_loss(case: Case, network: nn.Module) -> Tensor:
    """Return the training loss, plus the generator's for adversarial networks."""
    loss = training_loss(case, network)
    if isinstance(network, CycleganNetwork):
        for discriminator, generated in zip(network.discriminators, network(features(case)), strict=True):
            loss = loss + generator_loss(case.params.loss, discriminator(generated))
    if isinstance(network, GanNetwork):
        loss = loss + generator_loss(
            case.params.loss, network.discriminator(network(network_inputs(case)), one_hot_classes(case))
        )
    return loss


def saved_of(case: Case, seed: int = 0) -> TrainedModel:
    """Return the deployed model of a case with its metadata."""
    schema, pipeline = schema_for(case), pipeline_of(case)
    if isinstance(case.params, Autoencoder | Cyclegan | Gan):
        head = build_head(case.params, schema, pipeline, LOSS)
    else:
        head = build_supervised_head(schema, LOSS, np.full(case.values, 100.0), np.full(case.values, 7.0))
    model = build_inference_model(case.params, schema, pipeline, network_of(case, seed), head).eval()
    return TrainedModel(model, schema, case.params, LOSS, {"name": "m", "fingerprint": "f", "best_epoch": 3})


@torch.no_grad()
def outputs(module: nn.Module, x: Tensor) -> Tensor:
    """Return the outputs of a module in evaluation mode as one tensor."""
    out = module.eval()(x)
    return torch.stack(out, dim=1) if isinstance(out, tuple) else out


def rnn_config(**changes: object) -> Rnn:
    """Return the configuration of a recurrent network with other than default values."""
    return Rnn.model_validate({"family": "rnn", **changes})


def recurrent_network(config: NetworkConfig, spec: InputSpec, seed: int = 0) -> RecurrentNetwork:
    """Return a recurrent network in evaluation mode."""
    torch.manual_seed(seed)
    network = build_network(config, spec)
    assert isinstance(network, RecurrentNetwork)
    return network.eval()
