"""Read texts with labels, or one long text for language modeling.

Shapes: n samples, t tokens.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ...config.datasets import Text
from ...config.splits import RandomSplit
from ...errors import DataError, one_line_message
from ..baselines import sliding_windows
from ..columns.roles import encode_groups, parse_predefined_split
from ..columns.timestamps import parse_times
from ..dataset import SPLITS, Array, Dataset, Split, SplitIndices, SplitKeys
from ..schema import CheckResult, Schema
from ..targets import encode_target
from .csv import read_frame, require_columns
from .encoding import resolve_encoding

PADDING_INDEX, UNKNOWN_INDEX = 0, 1
SPECIAL_TOKENS = ("<padding>", "<unknown>")
"""The first two tokens of every vocabulary."""

MAX_TOKENS = 2**31
"""Largest number of tokens of all samples: a wrong `max_length` would need more than the memory."""

WORD_PATTERN = re.compile(r"\w+(?:['’]\w+)?|[^\w\s]")


def tokenize(text: str, tokenizer: str) -> Sequence[str]:
    """Return the words (and punctuation marks) or characters of a text; `tokenizer` is `Schema.tokenizer`."""
    text = text.lower() if tokenizer.startswith("lower_") else text
    return WORD_PATTERN.findall(text) if tokenizer.endswith("word") else text


def encode_tokens(texts: Iterable[Sequence[str]], vocabulary: Sequence[str], length: int, n: int) -> Array:
    """Return the index of each token, (n, length) int32, padded at the end."""
    index = {token: i for i, token in enumerate(vocabulary)}
    x = np.zeros((n, length), np.int32)
    for row, tokens in zip(x, texts, strict=True):
        indices = [index.get(token, UNKNOWN_INDEX) for token in tokens[:length]]
        row[: len(indices)] = indices
    return x


def build_vocabulary(texts: Iterable[Sequence[str]], params: Text) -> tuple[str, ...]:
    """Return the vocabulary of training texts, most frequent tokens first.

    Raises:
        DataError: no token is frequent enough.
    """
    counts = Counter(token for tokens in texts for token in tokens)
    most_frequent = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    common = most_frequent[: params.vocab_size - len(SPECIAL_TOKENS)]
    known = [token for token, count in common if count >= params.min_count]
    if not known:
        raise DataError(
            f"{params.source}: a token must occur {params.min_count} times in training rows to be in the vocabulary,"
            " but none does; reduce `min_count`, or add texts"
        )
    return (*SPECIAL_TOKENS, *known)


@dataclass(frozen=True)
class RawTexts:
    """Texts with one label each."""

    params: Text
    texts: pd.Series
    target: str
    keys: SplitKeys
    checks: tuple[CheckResult, ...]

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return samples of tokens; the vocabulary is that of the training rows."""
        tokenizer = tokenizer_name(self.params)
        tokens = {name: [tokenize(text, tokenizer) for text in self.texts.iloc[indices[name]]] for name in SPLITS}
        vocabulary = build_vocabulary(tokens["train"], self.params)
        schema = Schema(
            kind="text",
            task=self.params.task,
            target=self.target,
            features=(),
            shape=(self.params.max_length,),
            classes=self.keys.classes,
            values=() if self.keys.classes else (self.target,),
            vocabulary=vocabulary,
            tokenizer=tokenizer,
        )
        rows = np.arange(len(self.texts))
        splits = []
        for name in SPLITS:
            x = encode_tokens(tokens[name], vocabulary, self.params.max_length, len(tokens[name]))
            splits.append(self.keys.build_split(x, rows, indices[name]))
        n_longer = sum(len(sample) > self.params.max_length for sample in tokens["train"])
        if not n_longer:
            return Dataset(schema, *splits)
        share = f"{n_longer / len(tokens['train']):.1%} of training texts"
        text = (
            f"{share} are longer than {self.params.max_length} tokens and truncated; increase `max_length` to keep more"
        )
        return Dataset(schema, *splits, checks=(CheckResult(rule="truncated", level="note", message=text),))


@dataclass(frozen=True)
class RawLanguageText:
    """One long text: a sample is `max_length` tokens, its target the next token."""

    params: Text
    tokens: Sequence[str]
    keys: SplitKeys
    checks: tuple[CheckResult, ...] = ()

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return views of the tokens; the vocabulary is that of the tokens before the validation split."""
        length, tokenizer = self.params.max_length, tokenizer_name(self.params)
        end = int(indices["train"][-1]) + length + 1
        vocabulary = build_vocabulary([self.tokens[:end]], self.params)
        index = {token: i for i, token in enumerate(vocabulary)}
        token_ids = np.fromiter((index.get(token, UNKNOWN_INDEX) for token in self.tokens), np.int32, len(self.tokens))
        x, y = sliding_windows(token_ids[:-1], length), token_ids[length:].astype(np.int64)
        schema = Schema(
            kind="text",
            task="language_modeling",
            target="next token",
            features=(),
            shape=(length,),
            classes=vocabulary,
            vocabulary=vocabulary,
            tokenizer=tokenizer,
        )
        splits = []
        for name in SPLITS:
            start = int(indices[name][0]) if len(indices[name]) else 0
            span = slice(start, start + len(indices[name]))  # consecutive rows, so these are still views
            splits.append(Split(x[span], y[span], indices[name] + length))
        return Dataset(schema, *splits)


def read_text(source: Path, params: Text) -> RawTexts | RawLanguageText:
    """Return the texts of a table with their labels, or one long text for language modeling.

    Raises:
        DataError: the file has another encoding, lacks a column, or is too short.
    """
    if params.task == "language_modeling":
        return _read_language(source, params, resolve_encoding(source, params.format))
    label_columns = [params.target] if params.task == "classification" else []
    frame = read_frame(source, params.format, [params.text], label_columns)
    split_column = "" if isinstance(params.split, RandomSplit) else params.split.column
    required = {params.text: "text", params.target: "target"}
    require_columns(frame, required | ({split_column: "split.column"} if split_column else {}), source)
    texts = frame[params.text]
    _require_token_count(len(texts), params, source)
    empty = (texts.isna() | (texts.astype(str).str.strip() == "")).to_numpy()
    checks = []
    if empty.any():
        text = f"{empty.sum()} texts are empty, the first in row {int(empty.argmax()) + 1}"
        checks.append(CheckResult(rule="missing", level="warning", message=text))
    y, classes = encode_target(frame[params.target], params.task, source)
    keys = SplitKeys(
        y,
        classes,
        groups=encode_groups(frame[split_column], source) if params.split.by == "group" else None,
        time=parse_times(frame[split_column], source) if params.split.by == "time" else None,
        predefined=parse_predefined_split(frame[split_column], source) if params.split.by == "predefined" else None,
    )
    return RawTexts(params, texts.fillna("").astype(str), params.target, keys, tuple(checks))


def tokenizer_name(params: Text) -> str:
    """Return the tokenizer as stored in `Schema.tokenizer`."""
    return f"lower_{params.tokenizer}" if params.lowercase else params.tokenizer


def _read_language(source: Path, params: Text, encoding: str) -> RawLanguageText:
    if source.suffix != ".txt":
        raise DataError(
            f"task language_modeling needs a .txt, but source is {source}; choose classification, or use a .txt"
        )
    tokens = tokenize(_read_file(source, encoding), tokenizer_name(params))
    if len(tokens) < params.max_length + 10:
        raise DataError(
            f"{source} must have at least max_length + 10 = {params.max_length} + 10 tokens, but has {len(tokens)};"
            " reduce `max_length`, or add text"
        )
    n = len(tokens) - params.max_length
    _require_token_count(n, params, source)
    return RawLanguageText(params, tokens, SplitKeys(np.zeros(n)))


def _require_token_count(n: int, params: Text, source: Path) -> None:
    if n * params.max_length > MAX_TOKENS:
        raise DataError(
            f"{source}: {n} samples of {params.max_length} tokens need too much memory, the limit is {MAX_TOKENS}"
            " tokens; reduce `max_length`, or the number of texts"
        )


def _read_file(source: Path, encoding: str) -> str:
    try:
        text = source.read_text(encoding="utf-8-sig" if encoding == "utf-8" else encoding)
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"{source} must be text in {encoding}, but is not: {one_line_message(error)}; save it as UTF-8, or set"
            " `format: {encoding: latin-1}`"
        ) from None
    if "\0" in text:
        raise DataError(f"{source} must be text in {encoding}, but contains zero bytes; save it as UTF-8")
    return text
