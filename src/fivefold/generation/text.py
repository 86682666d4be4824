"""Generate text with a language model, token by token, and join tokens to text.

Shapes: t tokens of context, k tokens of the vocabulary.
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
"""Marks without a space before them."""
OPENING_MARKS = frozenset("([{“‘«$£€")
"""Marks without a space after them."""
JOINING_MARKS = frozenset("-–—/")
"""Marks without a space on either side."""
QUOTE_MARKS = frozenset("\"'")
"""Marks that open and close in turn: no space after the first, none before the second."""


def separator_before(previous_tokens: Sequence[str], token: str, token_unit: str) -> str:
    """Return the separator between `previous_tokens` and the next token; `token_unit` is `Schema.tokenizer`."""
    if token_unit.endswith("character") or not previous_tokens or token in CLOSING_MARKS | JOINING_MARKS:
        return ""
    last = previous_tokens[-1]
    opened = last in QUOTE_MARKS and previous_tokens.count(last) % 2 == 1
    closes = token in QUOTE_MARKS and previous_tokens.count(token) % 2 == 1
    return "" if last in OPENING_MARKS | JOINING_MARKS or opened or closes else " "


def default_prompt(trained_model: TrainedModel) -> str:
    """Return the default prompt: a space if tokens are characters and it is known, else the most frequent token.

    Raises:
        InputError: the model is not a language model.
    """
    schema = _require_language_model(trained_model)
    known = schema.vocabulary[len(SPECIAL_TOKENS) :]
    return " " if schema.tokenizer.endswith("character") and " " in known else known[0]


def generate_text(
    trained_model: TrainedModel, prompt: str, n: int, *, temperature: float = 1.0, top_k: int = 0, seed: int = 0
) -> str:
    """Return a continuation of `prompt` by n tokens; see `stream_text`."""
    return "".join(stream_text(trained_model, prompt, n, temperature=temperature, top_k=top_k, seed=seed))


def stream_text(
    trained_model: TrainedModel, prompt: str, n: int, *, temperature: float = 1.0, top_k: int = 0, seed: int = 0
) -> Iterator[str]:
    """Return an iterator over the n tokens that continue `prompt`, each with the separator before it.

    The context is as long as in training. Special tokens (`SPECIAL_TOKENS`) are never sampled.

    Args:
        trained_model: a model of task `language_modeling`.
        prompt: words or characters of the model's vocabulary.
        n: number of tokens to sample.
        temperature: divides the logits; below 1, likely tokens become more likely.
        top_k: sample from the k most likely tokens; 0 samples from all.
        seed: of the sampling; the text is reproducible on the same machine.

    Raises:
        InputError: the model is not a language model, the prompt is empty or has unknown tokens, or a number is out of
            range.
    """
    schema = _require_language_model(trained_model)
    if not 0 < temperature < math.inf:
        raise InputError(
            f"temperature must be a finite number above 0, but is {temperature}; top_k 1 samples the most likely token"
        )
    for name, value, minimum in (("length", n, 1), ("top_k", top_k, 0), ("seed", seed, 0)):
        if not minimum <= value < 2**32:
            raise InputError(f"{name} must be at least {minimum} and less than 2^32, but is {value}; change it")
    return _stream_tokens(
        trained_model, _tokenize_prompt(prompt, schema), n, temperature, top_k, torch.Generator().manual_seed(seed)
    )


def _require_language_model(trained_model: TrainedModel) -> Schema:
    schema = trained_model.schema
    if schema.task != "language_modeling":
        raise InputError(
            "the model must be a language model or generate samples, but"
            f" {trained_model.metadata['name']} is of family {trained_model.network_config.family} and task"
            f" {schema.task}; choose a model with task language_modeling, a gan, or an autoencoder with mode generation"
        )
    return schema


def _tokenize_prompt(prompt: str, schema: Schema) -> list[str]:
    tokens = list(tokenize(prompt, schema.tokenizer))
    units = "words" if schema.tokenizer.endswith("word") else "characters"
    if not tokens:
        raise InputError(f"prompt must contain {units}, but is {format_value(prompt)}; add some")
    unknown = sorted(set(tokens) - set(schema.vocabulary[len(SPECIAL_TOKENS) :]))
    if unknown:
        listed = ", ".join(map(repr, unknown[:10])) + (" and others" if len(unknown) > 10 else "")
        raise InputError(f"prompt must contain {units} of the model's vocabulary, but has {listed}; remove them")
    return tokens


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
    """Return the index of a token sampled by its logits (k,); never that of a special token."""
    candidates = logits[len(SPECIAL_TOKENS) :].double()
    best, indices = candidates.topk(min(top_k or len(candidates), len(candidates)))  # largest first
    # subtract before dividing, so that a very low temperature does not overflow
    probabilities = ((best - best[0]) / temperature).softmax(dim=0)
    return len(SPECIAL_TOKENS) + int(indices[torch.multinomial(probabilities, 1, generator=generator)])
