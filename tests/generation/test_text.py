"""Text generation with small models trained on a repeating text."""

import re
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from fivefold.cli import main
from fivefold.config.datasets import Text
from fivefold.config.models import NetworkConfig
from fivefold.config.networks.mlp import Mlp
from fivefold.config.networks.rnn import Rnn
from fivefold.config.splits import TimeSplit
from fivefold.config.training import AutoLoss
from fivefold.data.prepare import read_raw_dataset
from fivefold.data.storage import write_manifest
from fivefold.errors import InputError
from fivefold.generation.text import default_prompt, generate_text, stream_text
from fivefold.models.factory import build_network
from fivefold.models.inference import InferenceModel, Preprocess, SoftmaxHead
from fivefold.models.recurrent import CausalNetwork
from fivefold.models.serialization import TrainedModel, build_input_spec, save_model
from fivefold.preprocessing.pipeline import Pipeline

from .helpers import PARAMS

LSTM = Rnn(family="rnn", hidden=(16,), embedding_dim=8)


def trained(source: Path, text: str, network: NetworkConfig = LSTM, **changes: Any) -> TrainedModel:
    """Return a model of `text` after 60 training steps, on all steps of its sequences if it is causal."""
    source.write_text(text)
    split = TimeSplit(validation=5, test=5, by="time")
    options = {
        "task": "language_modeling",
        "tokenizer": "character",
        "max_length": 8,
        "min_count": 1,
        "split": split,
        **changes,
    }
    raw = read_raw_dataset(Text.model_validate({"kind": "text", "source": str(source), "checks": {}, **options}))
    rows = np.arange(len(raw.keys.y))
    dataset = raw.encode({"train": rows, "validation": rows[:0], "test": rows[:0]})
    pipeline = Pipeline("float32", ())
    torch.manual_seed(0)
    net = build_network(network, build_input_spec(dataset.schema, pipeline, AutoLoss(name="auto")))
    x, y = torch.from_numpy(pipeline(dataset.train.x)), torch.from_numpy(dataset.train.y)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        if isinstance(net, CausalNetwork):
            targets = torch.cat([x[:, 1:], y[:, None]], dim=1).long()
            loss = functional.cross_entropy(net.forward_all_steps(x).flatten(0, 1), targets.flatten())
        else:
            loss = functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    metadata = {"name": "poet", "fingerprint": "f"}
    return TrainedModel(
        InferenceModel(Preprocess(pipeline), net, SoftmaxHead()).eval(),
        dataset.schema,
        network,
        AutoLoss(name="auto"),
        metadata,
    )


@pytest.fixture(scope="module")
def abc(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return trained(tmp_path_factory.mktemp("abc") / "abc.txt", "abc" * 60)


@pytest.fixture(scope="module")
def dice(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Return a model of a random text, whose probabilities are far from 0 and 1."""
    text = "".join(np.random.default_rng(0).choice(list("abcdef"), 300, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05]))
    return trained(tmp_path_factory.mktemp("dice") / "dice.txt", text)


@pytest.mark.parametrize(("prompt", "expected"), [("a", "bcabcabcabcabc"), ("abcab", "cabcabcabcabca")])
def test_a_repeating_text_is_continued(abc: TrainedModel, prompt: str, expected: str) -> None:
    assert generate_text(abc, prompt, 14, temperature=0.1) == expected


def test_the_context_is_as_long_as_in_training(abc: TrainedModel) -> None:
    assert generate_text(abc, "a" * 100 + "abcabcab", 7, temperature=0.1) == "cabcabc"


def test_an_mlp_generates_text(tmp_path: Path) -> None:
    network = Mlp(family="mlp", hidden=(16,), embedding_dim=8, pool="flatten")
    model = trained(tmp_path / "abc.txt", "abc" * 60, network)
    assert generate_text(model, "abcabcab", 7, temperature=0.1) == "cabcabc"


def test_words_are_joined_to_text(tmp_path: Path) -> None:
    text = "The cat sat, the dog ran. " * 30
    model = trained(tmp_path / "cat.txt", text, tokenizer="word")
    assert generate_text(model, "the cat", 6, temperature=0.1) == " sat, the dog ran."
    assert list(stream_text(model, "The cat", 3, temperature=0.1)) == [" sat", ",", " the"]


def test_the_text_depends_on_the_seed(dice: TrainedModel) -> None:
    first, again, other = (generate_text(dice, "ab", 40, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_top_k_1_and_low_temperature_select_the_most_likely_token(dice: TrainedModel) -> None:
    expected, tokens = "", [dice.schema.vocabulary.index("a")]
    for _ in range(20):
        x = np.zeros((1, 8), np.int32)
        x[0, : len(tokens[-8:])] = tokens[-8:]
        with torch.inference_mode():
            tokens.append(int(dice.model(torch.from_numpy(x))[0, 2:].argmax()) + 2)
        expected += dice.schema.vocabulary[tokens[-1]]
    assert generate_text(dice, "a", 20, top_k=1, temperature=50.0) == expected
    assert generate_text(dice, "a", 20, temperature=1e-300) == expected


def test_tokens_are_sampled_with_their_probability(dice: TrainedModel) -> None:
    x = np.zeros((1, 8), np.int32)
    x[0, 0] = dice.schema.vocabulary.index("b")
    with torch.inference_mode():
        probabilities = dice.model(torch.from_numpy(x))[0].numpy().astype(np.float64)
    probabilities[:2] = 0  # special tokens are not sampled
    probabilities = np.sqrt(probabilities) / np.sqrt(probabilities).sum()  # temperature 2 halves the logits
    samples = [generate_text(dice, "b", 1, temperature=2.0, seed=seed) for seed in range(2000)]
    frequencies = np.array([samples.count(token) / len(samples) for token in dice.schema.vocabulary])
    # four standard errors of a frequency of 2,000 samples
    assert (np.abs(frequencies - probabilities) < 4 * np.sqrt(probabilities * (1 - probabilities) / 2000) + 1e-9).all()
    best = {dice.schema.vocabulary[i] for i in np.argsort(-probabilities)[:2]}
    assert {generate_text(dice, "b", 1, top_k=2, temperature=2.0, seed=seed) for seed in range(50)} == best


@pytest.mark.parametrize(
    ("tokenizer", "known", "prompt"),
    [
        ("character", ("e", " ", "t"), " "),  # a letter is more frequent than the space
        ("lower_character", ("a", "b"), "a"),  # without spaces
        ("word", ("the", "."), "the"),
    ],
)
def test_the_default_prompt_is_a_space_or_the_most_frequent_token(
    abc: TrainedModel, tokenizer: str, known: tuple[str, ...], prompt: str
) -> None:
    vocabulary = ("<padding>", "<unknown>", *known)
    schema = abc.schema.model_copy(update={"tokenizer": tokenizer, "vocabulary": vocabulary})
    assert default_prompt(replace(abc, schema=schema)) == prompt


@pytest.mark.parametrize(
    ("prompt", "changes", "message"),
    [
        ("", {}, "prompt must contain characters, but is ''; add some"),
        ("aßb€", {}, "prompt must contain characters of the model's vocabulary, but has 'ß', '€'; remove them"),
        (
            "a",
            {"temperature": 0.0},
            "temperature must be a finite number above 0, but is 0.0; top_k 1 samples the most likely token",
        ),
        ("a", {"temperature": -1.0}, "temperature must be a finite number above 0, but is -1.0;"),
        ("a", {"temperature": float("nan")}, "temperature must be a finite number above 0, but is nan;"),
        ("a", {"temperature": float("inf")}, "temperature must be a finite number above 0, but is inf;"),
        ("a", {"n": 0}, "length must be at least 1 and less than 2^32, but is 0; change it"),
        ("a", {"top_k": -1}, "top_k must be at least 0 and less than 2^32, but is -1; change it"),
        ("a", {"seed": -1}, "seed must be at least 0 and less than 2^32, but is -1; change it"),
    ],
)
def test_invalid_arguments_raise_before_sampling(
    abc: TrainedModel, prompt: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=rf"\A{re.escape(message)}"):
        stream_text(abc, prompt, **{"n": 5, **changes})


def test_a_model_of_another_task_raises(abc: TrainedModel) -> None:
    schema = abc.schema.model_copy(update={"task": "classification", "target": "mood"})
    message = (
        "the model must be a language model or generate samples, but poet is of family rnn and task classification;"
        " choose a model with task language_modeling, a gan, or an autoencoder with mode generation"
    )
    with pytest.raises(InputError, match=rf"\A{re.escape(message)}\Z"):
        generate_text(replace(abc, schema=schema), "a", 5)
    with pytest.raises(InputError, match=rf"\A{re.escape(message)}\Z"):
        default_prompt(replace(abc, schema=schema.model_copy(update={"vocabulary": (), "tokenizer": ""})))


class TestCommand:
    @pytest.fixture(autouse=True)
    def project(self, abc: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / ".dvc").mkdir()
        (tmp_path / "params.yaml").write_text(PARAMS)
        folder = tmp_path / "models/poet"
        folder.mkdir(parents=True)
        save_model(abc, folder)
        write_manifest(folder)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def run(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["fivefold", "generate", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            main.main()
        return int(exit_info.value.code or 0)

    def test_it_prints_the_prompt_and_its_continuation(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["poet", "--prompt", "abca", "--length", "8", "--temperature", "0.1", "--top-k", "2", "--seed", "3"]
        assert self.run(monkeypatch, *arguments) == 0
        assert capsys.readouterr().out == "abcabcabcabc\n"

    def test_without_a_prompt_it_starts_with_the_most_frequent_token(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, "poet", "--length", "5", "--temperature", "0.1") == 0
        assert capsys.readouterr().out == "abcabc\n"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["poet", "--prompt", ""], "error: prompt must contain characters, but is ''; add some\n"),
            (["poet", "--temperature", "0"], "error: temperature must be a finite number above 0, but is 0.0;"),
            (["other"], "error: model 'other' is not in params.yaml, which has poet; choose one of them\n"),
            (["../poet"], "error: model '../poet' is not in params.yaml, which has poet; choose one of them\n"),
        ],
    )
    def test_errors_are_a_single_line(
        self, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, *arguments) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith(message)
        assert captured.err.count("\n") == 1
        assert captured.out == ""

    def test_an_untrained_model_raises(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rmtree(project / "models")
        assert self.run(monkeypatch, "poet") == 1
        message = "error: models/poet must hold a trained model, but does not; run `dvc repro train@poet`\n"
        assert capsys.readouterr().err == message
