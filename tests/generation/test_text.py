"""A text goes on as the model tells; the model is a tiny one that has learnt a repeating text."""

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

LSTM = Rnn(family="rnn", hidden=(16,), embedding_dim=8)


def trained(source: Path, text: str, network: NetworkConfig = LSTM, **changes: Any) -> TrainedModel:
    """A model of `text` after 60 steps of plain training, from every step of its records where it can be."""
    source.write_text(text)
    split = TimeSplit(validation=5, test=5, by="time")
    given = {"task": "language", "level": "character", "length": 8, "min_count": 1, "split": split, **changes}
    raw = read_raw_dataset(Text.model_validate({"kind": "text", "source": str(source), "checks": {}, **given}))
    everything = np.arange(len(raw.keys.y))
    dataset = raw.encode({"train": everything, "validation": everything[:0], "test": everything[:0]})
    chain = Pipeline("float32", ())
    torch.manual_seed(0)
    net = build_network(network, build_input_spec(dataset.schema, chain, AutoLoss(name="auto")))
    x, y = torch.from_numpy(chain(dataset.train.x)), torch.from_numpy(dataset.train.y)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        if isinstance(net, CausalNetwork):
            after = torch.cat([x[:, 1:], y[:, None]], dim=1).long()
            loss = functional.cross_entropy(net.forward_all_steps(x).flatten(0, 1), after.flatten())
        else:
            loss = functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    facts = {"name": "poet", "fingerprint": "f"}
    return TrainedModel(
        InferenceModel(Preprocess(chain), net, SoftmaxHead()).eval(),
        dataset.schema,
        network,
        AutoLoss(name="auto"),
        facts,
    )


@pytest.fixture(scope="module")
def abc(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return trained(tmp_path_factory.mktemp("abc") / "abc.txt", "abc" * 60)


@pytest.fixture(scope="module")
def dice(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """A model of a text without a rule: its chances are far from 0 and 1."""
    text = "".join(np.random.default_rng(0).choice(list("abcdef"), 300, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05]))
    return trained(tmp_path_factory.mktemp("dice") / "dice.txt", text)


@pytest.mark.parametrize(("prompt", "expected"), [("a", "bcabcabcabcabc"), ("abcab", "cabcabcabcabca")])
def test_a_repeating_text_goes_on(abc: TrainedModel, prompt: str, expected: str) -> None:
    assert generate_text(abc, prompt, 14, temperature=0.1) == expected


def test_only_as_many_tokens_as_in_training_are_seen(abc: TrainedModel) -> None:
    assert generate_text(abc, "a" * 100 + "abcabcab", 7, temperature=0.1) == "cabcabc"


def test_another_family_goes_on_too(tmp_path: Path) -> None:
    network = Mlp(family="mlp", hidden=(16,), embedding_dim=8, pool="flatten")
    model = trained(tmp_path / "abc.txt", "abc" * 60, network)
    assert generate_text(model, "abcabcab", 7, temperature=0.1) == "cabcabc"


def test_words_are_joined_as_a_text_is_set(tmp_path: Path) -> None:
    text = "The cat sat, the dog ran. " * 30
    model = trained(tmp_path / "cat.txt", text, level="word")
    assert generate_text(model, "the cat", 6, temperature=0.1) == " sat, the dog ran."
    assert list(stream_text(model, "The cat", 3, temperature=0.1)) == [" sat", ",", " the"]


def test_the_seed_decides_the_text(dice: TrainedModel) -> None:
    first, again, other = (generate_text(dice, "ab", 40, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_likeliest_of_one_is_the_largest_output(dice: TrainedModel) -> None:
    expected, tokens = "", [dice.schema.vocabulary.index("a")]
    for _ in range(20):
        x = np.zeros((1, 8), np.int32)
        x[0, : len(tokens[-8:])] = tokens[-8:]
        with torch.inference_mode():
            tokens.append(int(dice.model(torch.from_numpy(x))[0, 2:].argmax()) + 2)
        expected += dice.schema.vocabulary[tokens[-1]]
    assert generate_text(dice, "a", 20, top_k=1, temperature=50.0) == expected
    assert generate_text(dice, "a", 20, temperature=1e-300) == expected


def test_tokens_are_drawn_as_often_as_their_chance_says(dice: TrainedModel) -> None:
    x = np.zeros((1, 8), np.int32)
    x[0, 0] = dice.schema.vocabulary.index("b")
    with torch.inference_mode():
        chances = dice.model(torch.from_numpy(x))[0].numpy().astype(np.float64)
    chances[:2] = 0  # neither padding nor an unknown token is text
    chances = np.sqrt(chances) / np.sqrt(chances).sum()  # temperature 2 halves the logits
    drawn = [generate_text(dice, "b", 1, temperature=2.0, seed=seed) for seed in range(2000)]
    shares = np.array([drawn.count(token) / len(drawn) for token in dice.schema.vocabulary])
    # four standard deviations of a share of 2,000 draws
    assert (np.abs(shares - chances) < 4 * np.sqrt(chances * (1 - chances) / 2000) + 1e-9).all()
    best = {dice.schema.vocabulary[i] for i in np.argsort(-chances)[:2]}
    assert {generate_text(dice, "b", 1, top_k=2, temperature=2.0, seed=seed) for seed in range(50)} == best


@pytest.mark.parametrize(
    ("tokens", "known", "start"),
    [
        ("character", ("e", " ", "t"), " "),  # a language in which a letter is met more often
        ("lower_character", ("a", "b"), "a"),  # and one without spaces
        ("word", ("the", "."), "the"),
    ],
)
def test_without_a_prompt_characters_start_from_a_space(
    abc: TrainedModel, tokens: str, known: tuple[str, ...], start: str
) -> None:
    vocabulary = ("<padding>", "<unknown>", *known)
    schema = abc.schema.model_copy(update={"tokens": tokens, "vocabulary": vocabulary})
    assert default_prompt(replace(abc, schema=schema)) == start


@pytest.mark.parametrize(
    ("prompt", "changes", "line"),
    [
        ("", {}, "prompt must hold characters, but is ''; write some"),
        ("aßb€", {}, "prompt must hold characters that the model knows, but has 'ß', '€'; leave them out"),
        (
            "a",
            {"temperature": 0.0},
            "temperature must be a number above 0, but is 0.0; top_k 1 draws the likeliest token",
        ),
        ("a", {"temperature": -1.0}, "temperature must be a number above 0, but is -1.0;"),
        ("a", {"temperature": float("nan")}, "temperature must be a number above 0, but is nan;"),
        ("a", {"temperature": float("inf")}, "temperature must be a number above 0, but is inf;"),
        ("a", {"n": 0}, "length must be 1 or more, and below 2^32, but is 0; change it"),
        ("a", {"top_k": -1}, "top_k must be 0 or more, and below 2^32, but is -1; change it"),
        ("a", {"seed": -1}, "seed must be 0 or more, and below 2^32, but is -1; change it"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_drawn(
    abc: TrainedModel, prompt: str, changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(InputError, match=rf"\A{re.escape(line)}"):
        stream_text(abc, prompt, **{"n": 5, **changes})


def test_a_model_of_another_task_is_refused(abc: TrainedModel) -> None:
    schema = abc.schema.model_copy(update={"task": "classification", "target": "mood"})
    line = (
        "model must tell the next token of a text, or make records, but poet is of family rnn and task classification;"
        " choose one whose dataset has task language, a gan, or an autoencoder of purpose generation"
    )
    with pytest.raises(InputError, match=rf"\A{re.escape(line)}\Z"):
        generate_text(replace(abc, schema=schema), "a", 5)
    with pytest.raises(InputError, match=rf"\A{re.escape(line)}\Z"):
        default_prompt(replace(abc, schema=schema.model_copy(update={"vocabulary": (), "tokens": ""})))


PARAMS = """
seed: 0
training: {max_epochs: 1, batch_size: 16, optimizer: {name: adam, lr: 1e-3}}
datasets:
  verse:
    kind: text
    source: abc.txt
    task: language_modeling
    level: character
    length: 8
    split: {validation: 5, test: 5, by: time}
models:
  poet:
    dataset: verse
    depends_on: none
    select: {method: none}
    network: {family: rnn, hidden: [16], embedding_dim: 8}
    training: {}
"""


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

    def run(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
        monkeypatch.setattr("sys.argv", ["fivefold", "sample", *words])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return int(ended.value.code or 0)

    def test_it_shows_the_prompt_and_what_follows(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["poet", "--prompt", "abca", "--length", "8", "--temperature", "0.1", "--top-k", "2", "--seed", "3"]
        assert self.run(monkeypatch, *words) == 0
        assert capsys.readouterr().out == "abcabcabcabc\n"

    def test_without_a_prompt_it_starts_with_the_most_frequent_token(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, "poet", "--length", "5", "--temperature", "0.1") == 0
        assert capsys.readouterr().out == "abcabc\n"

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            (["poet", "--prompt", ""], "error: prompt must hold characters, but is ''; write some\n"),
            (["poet", "--temperature", "0"], "error: temperature must be a number above 0, but is 0.0;"),
            (["other"], "error: model 'other' is not in params.yaml; it has poet\n"),
            (["../poet"], "error: model '../poet' is not in params.yaml; it has poet\n"),
        ],
    )
    def test_what_cannot_be_ends_in_one_line(
        self, words: list[str], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, *words) == 2
        shown = capsys.readouterr()
        assert shown.err.startswith(line)
        assert shown.err.count("\n") == 1
        assert shown.out == ""

    def test_a_model_that_is_not_trained_says_what_to_run(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rmtree(project / "models")
        assert self.run(monkeypatch, "poet") == 1
        told = "error: models/poet must hold a trained model, but does not; run `dvc repro train@poet`\n"
        assert capsys.readouterr().err == told
