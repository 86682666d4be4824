"""Draw a text from a model that tells the next token, one token after the other.

Shapes: t tokens that the model sees, k tokens of its vocabulary.

Tokens back to a text, as it is usually set.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..data.readers.text import SPECIAL_TOKENS, encode_tokens, tokenize
from ..data.schema import Schema
from ..errors import InputError, format_value
from ..models.serialization import TrainedModel

CLOSING_MARKS = frozenset(".,;:!?…%)]}’”»")
"""Signs that stand at the word before them."""
OPENING_MARKS = frozenset("([{“‘«$£€")
"""Signs that stand at the word after them."""
JOINING_MARKS = frozenset("-–—/")
"""Signs that stand at both."""
QUOTE_MARKS = frozenset("\"'")
"""Signs that stand at the word after them and at the word before them in turn."""


def separator_before(previous_tokens: Sequence[str], token: str, token_unit: str) -> str:
    """Return what stands between the tokens `before` and the next one; `tokens` is that of `Schema`."""
    if token_unit.endswith("character") or not previous_tokens or token in CLOSING_MARKS | JOINING_MARKS:
        return ""
    last = previous_tokens[-1]
    opened = last in QUOTE_MARKS and previous_tokens.count(last) % 2 == 1
    closes = token in QUOTE_MARKS and previous_tokens.count(token) % 2 == 1
    return "" if last in OPENING_MARKS | JOINING_MARKS or opened or closes else " "


def default_prompt(trained_model: TrainedModel) -> str:
    """Return what a text starts from that has no prompt: a space between characters, else the most frequent token.

    Raises:
        InputError: the model is of another task.
    """
    schema = _require_language_model(trained_model)
    known = schema.vocabulary[len(SPECIAL_TOKENS) :]
    return " " if schema.tokenizer.endswith("character") and " " in known else known[0]


def generate_text(
    trained_model: TrainedModel, prompt: str, n: int, *, temperature: float = 1.0, top_k: int = 0, seed: int = 0
) -> str:
    """Return n tokens of text that go on from `prompt`; see `stream`."""
    return "".join(stream_text(trained_model, prompt, n, temperature=temperature, top_k=top_k, seed=seed))


def stream_text(
    trained_model: TrainedModel, prompt: str, n: int, *, temperature: float = 1.0, top_k: int = 0, seed: int = 0
) -> Iterator[str]:
    """Return an iterator over n pieces of text that go on from `prompt`, each with the gap before it.

    The model sees as many of the last tokens as in training. Neither of the `MARKS` is drawn.

    Args:
        saved: a model of task `language`.
        prompt: words or characters of the training text.
        n: tokens to draw.
        temperature: what the outputs are divided by; below 1 likely tokens become likelier.
        top_k: draw from so many of the likeliest tokens; 0 draws from all.
        seed: the same gives the same text on the same machine.

    Raises:
        InputError: the model is of another task, the prompt has no token or one that is unknown, or a number is out of
            its range.
    """
    schema = _require_language_model(trained_model)
    if not 0 < temperature < math.inf:
        raise InputError(
            f"temperature must be a number above 0, but is {temperature}; top_k 1 draws the likeliest token"
        )
    for name, value, least in (("length", n, 1), ("top_k", top_k, 0), ("seed", seed, 0)):
        if not least <= value < 2**32:
            raise InputError(f"{name} must be {least} or more, and below 2^32, but is {value}; change it")
    return _stream_tokens(
        trained_model, _tokenize_prompt(prompt, schema), n, temperature, top_k, torch.Generator().manual_seed(seed)
    )


def _require_language_model(trained_model: TrainedModel) -> Schema:
    schema = trained_model.schema
    if schema.task != "language_modeling":
        raise InputError(
            f"model must tell the next token of a text, or make records, but {trained_model.metadata['name']} is of family"
            f" {trained_model.network_config.family} and task {schema.task}; choose one whose dataset has task language, a gan, or an"
            " autoencoder of purpose generation"
        )
    return schema


def _tokenize_prompt(prompt: str, schema: Schema) -> list[str]:
    found = list(tokenize(prompt, schema.tokenizer))
    units = "words" if schema.tokenizer.endswith("word") else "characters"
    if not found:
        raise InputError(f"prompt must hold {units}, but is {format_value(prompt)}; write some")
    unknown = sorted(set(found) - set(schema.vocabulary[len(SPECIAL_TOKENS) :]))
    if unknown:
        listed = ", ".join(map(repr, unknown[:10])) + (" and others" if len(unknown) > 10 else "")
        raise InputError(f"prompt must hold {units} that the model knows, but has {listed}; leave them out")
    return found


def _stream_tokens(
    trained_model: TrainedModel, tokens: list[str], n: int, temperature: float, top_k: int, generator: torch.Generator
) -> Iterator[str]:
    schema = trained_model.schema
    (length,) = schema.shape
    for _ in range(n):
        window = torch.from_numpy(encode_tokens([tokens[-length:]], schema.vocabulary, length, 1))  # (1, t)
        with torch.inference_mode():
            logits = trained_model.model.network(trained_model.model.preprocess(window))[0]  # (1, t) -> (k,)
        token = schema.vocabulary[_sample_token(logits, temperature, top_k, generator)]
        piece = separator_before(tokens, token, schema.tokenizer) + token
        tokens.append(token)
        yield piece


def _sample_token(logits: Tensor, temperature: float, top_k: int, generator: torch.Generator) -> int:
    """Return the index of a token drawn by its logits (k,); never that of a mark."""
    known = logits[len(SPECIAL_TOKENS) :].double()
    best, places = known.topk(min(top_k or len(known), len(known)))  # largest first
    chances = ((best - best[0]) / temperature).softmax(dim=0)  # the difference first: no temperature is too low for it
    return len(SPECIAL_TOKENS) + int(places[torch.multinomial(chances, 1, generator=generator)])
