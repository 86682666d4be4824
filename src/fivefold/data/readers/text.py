"""Texts with a label each, or one long text whose next token is to be told.

Shapes: n records, t tokens.
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
"""Tokens of all records: a wrong `length` would ask for more than memory holds."""

WORD_PATTERN = re.compile(r"\w+(?:['’]\w+)?|[^\w\s]")


def tokenize(text: str, tokenizer: str) -> Sequence[str]:
    """Cut a text into words (and signs by themselves) or characters; `tokens` is that of `Schema`."""
    text = text.lower() if tokenizer.startswith("lower_") else text
    return WORD_PATTERN.findall(text) if tokenizer.endswith("word") else text


def encode_tokens(texts: Iterable[Sequence[str]], vocabulary: Sequence[str], length: int, n: int) -> Array:
    """Return the index of each token, (n, length) int32, padded at the end."""
    index = {token: i for i, token in enumerate(vocabulary)}
    x = np.zeros((n, length), np.int32)
    for row, tokens in zip(x, texts, strict=True):
        found = [index.get(token, UNKNOWN_INDEX) for token in tokens[:length]]
        row[: len(found)] = found
    return x


def build_vocabulary(texts: Iterable[Sequence[str]], params: Text) -> tuple[str, ...]:
    """Return the vocabulary of training texts, the most frequent tokens first.

    Raises:
        DataError: no token is frequent enough.
    """
    counts = Counter(token for tokens in texts for token in tokens)
    common = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: params.vocab_size - len(SPECIAL_TOKENS)]
    known = [token for token, count in common if count >= params.min_count]
    if not known:
        raise DataError(
            f"{params.source}: a token must stand {params.min_count} times in training rows to be known, but none does;"
            " lower `min_count`, or bring more"
        )
    return (*SPECIAL_TOKENS, *known)


@dataclass(frozen=True)
class RawTexts:
    """Texts with a label each."""

    params: Text
    texts: pd.Series
    target: str
    keys: SplitKeys
    checks: tuple[CheckResult, ...]

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return records of tokens; the vocabulary is that of training rows."""
        how = tokenizer_name(self.params)
        cut = {name: [tokenize(text, how) for text in self.texts.iloc[indices[name]]] for name in SPLITS}
        vocabulary = build_vocabulary(cut["train"], self.params)
        schema = Schema(
            kind="text",
            task=self.params.task,
            target=self.target,
            features=(),
            shape=(self.params.max_length,),
            classes=self.keys.classes,
            values=() if self.keys.classes else (self.target,),
            vocabulary=vocabulary,
            tokenizer=how,
        )
        rows = np.arange(len(self.texts))
        sets = []
        for name in SPLITS:
            x = encode_tokens(cut[name], vocabulary, self.params.max_length, len(cut[name]))
            sets.append(self.keys.build_split(x, rows, indices[name]))
        longer = sum(len(tokens) > self.params.max_length for tokens in cut["train"])
        if not longer:
            return Dataset(schema, *sets)
        share = f"{longer / len(cut['train']):.1%} of training texts"
        text = f"{share} are longer than {self.params.max_length} tokens and are cut; a larger `length` keeps more"
        return Dataset(schema, *sets, checks=(CheckResult(rule="truncated", level="note", message=text),))


@dataclass(frozen=True)
class RawLanguageText:
    """One long text: a record is `length` tokens, its target the token after them."""

    params: Text
    tokens: Sequence[str]
    keys: SplitKeys
    checks: tuple[CheckResult, ...] = ()

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return views of the tokens; the vocabulary is that of the tokens before the validation part."""
        length, how = self.params.max_length, tokenizer_name(self.params)
        end = int(indices["train"][-1]) + length + 1
        vocabulary = build_vocabulary([self.tokens[:end]], self.params)
        index = {token: i for i, token in enumerate(vocabulary)}
        numbers = np.fromiter((index.get(token, UNKNOWN_INDEX) for token in self.tokens), np.int32, len(self.tokens))
        x, y = sliding_windows(numbers[:-1], length), numbers[length:].astype(np.int64)
        schema = Schema(
            kind="text",
            task="language_modeling",
            target="next token",
            features=(),
            shape=(length,),
            classes=vocabulary,
            vocabulary=vocabulary,
            tokenizer=how,
        )
        sets = []
        for name in SPLITS:
            start = int(indices[name][0]) if len(indices[name]) else 0
            part = slice(start, start + len(indices[name]))  # in time, and so without gaps: still views
            sets.append(Split(x[part], y[part], indices[name] + length))
        return Dataset(schema, *sets)


def read_text(source: Path, params: Text) -> RawTexts | RawLanguageText:
    """Read texts.

    Raises:
        DataError: the file is in another encoding, or lacks a column, or is too short.
    """
    if params.task == "language_modeling":
        return _read_language(source, params, resolve_encoding(source, params.format))
    classes = [params.target] if params.task == "classification" else []
    frame = read_frame(source, params.format, [params.text], classes)
    special = "" if isinstance(params.split, RandomSplit) else params.split.column
    require_columns(
        frame, {params.text: "text", params.target: "target"} | ({special: "split.column"} if special else {}), source
    )
    texts = frame[params.text]
    _require_token_count(len(texts), params, source)
    empty = (texts.isna() | (texts.astype(str).str.strip() == "")).to_numpy()
    findings = []
    if empty.any():
        text = f"{empty.sum()} texts are empty, the first in row {int(empty.argmax()) + 1}"
        findings.append(CheckResult(rule="missing", level="warning", message=text))
    y, named = encode_target(frame[params.target], params.task, source)
    keys = SplitKeys(
        y,
        named,
        groups=encode_groups(frame[special], source) if params.split.by == "group" else None,
        time=parse_times(frame[special], source) if params.split.by == "time" else None,
        predefined=parse_predefined_split(frame[special], source) if params.split.by == "predefined" else None,
    )
    return RawTexts(params, texts.fillna("").astype(str), params.target, keys, tuple(findings))


def tokenizer_name(params: Text) -> str:
    """Return how texts are cut into tokens, as `Schema.tokens` says it."""
    return f"lower_{params.tokenizer}" if params.lowercase else params.tokenizer


def _read_language(source: Path, params: Text, encoding: str) -> RawLanguageText:
    if source.suffix != ".txt":
        raise DataError(f"task language needs a .txt, but source is {source}; choose classification, or bring a .txt")
    tokens = tokenize(_read_file(source, encoding), tokenizer_name(params))
    if len(tokens) < params.max_length + 10:
        raise DataError(
            f"{source} must have length + 10 tokens or more, {params.max_length} + 10, but has {len(tokens)}; shorten"
            " `length`, or bring more"
        )
    n = len(tokens) - params.max_length
    _require_token_count(n, params, source)
    return RawLanguageText(params, tokens, SplitKeys(np.zeros(n)))


def _require_token_count(n: int, params: Text, source: Path) -> None:
    if n * params.max_length > MAX_TOKENS:
        raise DataError(
            f"{source}: {n} records of {params.max_length} tokens are too many for memory, which holds {MAX_TOKENS};"
            " shorten `length`, or bring fewer"
        )


def _read_file(source: Path, encoding: str) -> str:
    try:
        text = source.read_text(encoding="utf-8-sig" if encoding == "utf-8" else encoding)
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"{source} must be text in {encoding}, but is not: {one_line_message(error)}; save it as UTF-8, or say"
            " `format: {encoding: latin-1}`"
        ) from None
    if "\0" in text:
        raise DataError(f"{source} must be text in {encoding}, but holds zero bytes; save it as UTF-8")
    return text
