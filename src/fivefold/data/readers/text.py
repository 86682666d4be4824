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
from ...config.splits import RowSplit
from ...errors import DataError, one_line
from ..baselines import windows
from ..columns.roles import given_parts, groups_of
from ..columns.timestamps import moments
from ..dataset import SPLITS, Array, Dataset, Keys, Parts, Records
from ..schema import Finding, Schema
from ..targets import encode_target
from .csv import need, read_frame
from .encoding import encoding_of

PADDING, UNKNOWN = 0, 1
MARKS = ("<padding>", "<unknown>")
"""The first two tokens of every vocabulary."""

LARGEST = 2**31
"""Tokens of all records: a wrong `length` would ask for more than memory holds."""

WORD = re.compile(r"\w+(?:['’]\w+)?|[^\w\s]")


def tokenise(text: str, tokens: str) -> Sequence[str]:
    """Cut a text into words (and signs by themselves) or characters; `tokens` is that of `Schema`."""
    text = text.lower() if tokens.startswith("lower_") else text
    return WORD.findall(text) if tokens.endswith("word") else text


def numbered(texts: Iterable[Sequence[str]], vocabulary: Sequence[str], length: int, n: int) -> Array:
    """Return the index of each token, (n, length) int32, padded at the end."""
    index = {token: i for i, token in enumerate(vocabulary)}
    x = np.zeros((n, length), np.int32)
    for row, tokens in zip(x, texts, strict=True):
        found = [index.get(token, UNKNOWN) for token in tokens[:length]]
        row[: len(found)] = found
    return x


def learn(texts: Iterable[Sequence[str]], params: Text) -> tuple[str, ...]:
    """Return the vocabulary of training texts, the most frequent tokens first.

    Raises:
        DataError: no token is frequent enough.
    """
    counts = Counter(token for tokens in texts for token in tokens)
    common = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: params.vocabulary - len(MARKS)]
    known = [token for token, count in common if count >= params.min_count]
    if not known:
        raise DataError(
            f"{params.source}: a token must stand {params.min_count} times in training rows to be known, but none does;"
            " lower `min_count`, or bring more"
        )
    return (*MARKS, *known)


@dataclass(frozen=True)
class RawTexts:
    """Texts with a label each."""

    params: Text
    texts: pd.Series
    target: str
    keys: Keys
    findings: tuple[Finding, ...]

    def encode(self, parts: Parts, *, last: bool = False) -> Dataset:
        """Return records of tokens; the vocabulary is that of training rows."""
        how = how_cut(self.params)
        cut = {name: [tokenise(text, how) for text in self.texts.iloc[parts[name]]] for name in SPLITS}
        vocabulary = learn(cut["train"], self.params)
        schema = Schema(
            kind="text",
            task=self.params.task,
            target=self.target,
            features=(),
            shape=(self.params.length,),
            classes=self.keys.classes,
            values=() if self.keys.classes else (self.target,),
            vocabulary=vocabulary,
            tokens=how,
        )
        rows = np.arange(len(self.texts))
        sets = []
        for name in SPLITS:
            x = numbered(cut[name], vocabulary, self.params.length, len(cut[name]))
            sets.append(self.keys.records(x, rows, parts[name]))
        longer = sum(len(tokens) > self.params.length for tokens in cut["train"])
        if not longer:
            return Dataset(schema, *sets)
        share = f"{longer / len(cut['train']):.1%} of training texts"
        text = f"{share} are longer than {self.params.length} tokens and are cut; a larger `length` keeps more"
        return Dataset(schema, *sets, findings=(Finding(rule="cut", level="note", text=text),))


@dataclass(frozen=True)
class RawLanguage:
    """One long text: a record is `length` tokens, its target the token after them."""

    params: Text
    tokens: Sequence[str]
    keys: Keys
    findings: tuple[Finding, ...] = ()

    def encode(self, parts: Parts, *, last: bool = False) -> Dataset:
        """Return views of the tokens; the vocabulary is that of the tokens before the validation part."""
        length, how = self.params.length, how_cut(self.params)
        end = int(parts["train"][-1]) + length + 1
        vocabulary = learn([self.tokens[:end]], self.params)
        index = {token: i for i, token in enumerate(vocabulary)}
        numbers = np.fromiter((index.get(token, UNKNOWN) for token in self.tokens), np.int32, len(self.tokens))
        x, y = windows(numbers[:-1], length), numbers[length:].astype(np.int64)
        schema = Schema(
            kind="text",
            task="language",
            target="next token",
            features=(),
            shape=(length,),
            classes=vocabulary,
            vocabulary=vocabulary,
            tokens=how,
        )
        sets = []
        for name in SPLITS:
            start = int(parts[name][0]) if len(parts[name]) else 0
            part = slice(start, start + len(parts[name]))  # in time, and so without gaps: still views
            sets.append(Records(x[part], y[part], parts[name] + length))
        return Dataset(schema, *sets)


def read_text(source: Path, params: Text) -> RawTexts | RawLanguage:
    """Read texts.

    Raises:
        DataError: the file is in another encoding, or lacks a column, or is too short.
    """
    if params.task == "language":
        return _language(source, params, encoding_of(source, params.format))
    classes = [params.target] if params.task == "classification" else []
    frame = read_frame(source, params.format, [params.text], classes)
    special = "" if isinstance(params.split, RowSplit) else params.split.column
    need(frame, {params.text: "text", params.target: "target"} | ({special: "split.column"} if special else {}), source)
    texts = frame[params.text]
    _bounded(len(texts), params, source)
    empty = (texts.isna() | (texts.astype(str).str.strip() == "")).to_numpy()
    findings = []
    if empty.any():
        text = f"{empty.sum()} texts are empty, the first in row {int(empty.argmax()) + 1}"
        findings.append(Finding(rule="missing", level="warning", text=text))
    y, named = encode_target(frame[params.target], params.task, source)
    keys = Keys(
        y,
        named,
        groups=groups_of(frame[special], source) if params.split.by == "group" else None,
        time=moments(frame[special], source) if params.split.by == "time" else None,
        given=given_parts(frame[special], source) if params.split.by == "column" else None,
    )
    return RawTexts(params, texts.fillna("").astype(str), params.target, keys, tuple(findings))


def how_cut(params: Text) -> str:
    """Return how texts are cut into tokens, as `Schema.tokens` says it."""
    return f"lower_{params.level}" if params.lowercase else params.level


def _language(source: Path, params: Text, encoding: str) -> RawLanguage:
    if source.suffix != ".txt":
        raise DataError(f"task language needs a .txt, but source is {source}; choose classification, or bring a .txt")
    tokens = tokenise(_decoded(source, encoding), how_cut(params))
    if len(tokens) < params.length + 10:
        raise DataError(
            f"{source} must have length + 10 tokens or more, {params.length} + 10, but has {len(tokens)}; shorten"
            " `length`, or bring more"
        )
    n = len(tokens) - params.length
    _bounded(n, params, source)
    return RawLanguage(params, tokens, Keys(np.zeros(n)))


def _bounded(n: int, params: Text, source: Path) -> None:
    if n * params.length > LARGEST:
        raise DataError(
            f"{source}: {n} records of {params.length} tokens are too many for memory, which holds {LARGEST};"
            " shorten `length`, or bring fewer"
        )


def _decoded(source: Path, encoding: str) -> str:
    try:
        text = source.read_text(encoding="utf-8-sig" if encoding == "utf-8" else encoding)
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"{source} must be text in {encoding}, but is not: {one_line(error)}; save it as UTF-8, or say"
            " `format: {encoding: latin-1}`"
        ) from None
    if "\0" in text:
        raise DataError(f"{source} must be text in {encoding}, but holds zero bytes; save it as UTF-8")
    return text
