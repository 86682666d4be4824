"""Texts: tokens, vocabularies, encodings, windows of one long text, errors, and leakage."""

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fivefold.config.datasets import FileFormat, Text
from fivefold.config.splits import GroupSplit, PredefinedSplit, RandomSplit, TimeSplit
from fivefold.data.dataset import SPLITS
from fivefold.data.prepare import prepare
from fivefold.data.readers.text import (
    PADDING_INDEX,
    SPECIAL_TOKENS,
    UNKNOWN_INDEX,
    build_vocabulary,
    encode_tokens,
    read_text,
    tokenize,
)
from fivefold.data.storage import load_dataset, save_dataset, write_manifest
from fivefold.errors import DataError
from fivefold.preprocessing.scaling import fit_scaling

SHARED = Path(__file__).parents[4] / "shared/data"


def block(source: object, **changes: Any) -> Text:
    split = PredefinedSplit(by="predefined")
    given = {"task": "classification", "target": "label", "max_length": 4, "split": split, "min_count": 1, **changes}
    return Text(kind="text", source=str(source), **given)


def language_block(source: object, **changes: Any) -> Text:
    split = TimeSplit(by="time", validation=0.2, test=0.2)
    return block(source, **{"task": "language_modeling", "tokenizer": "character", "split": split, **changes})


def write_file(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_texts(folder: Path, *rows: tuple[str, str, str], name: str = "a.csv", encoding: str = "utf-8") -> Path:
    """Write a file of text, label and split."""
    frame = pd.DataFrame(rows, columns=["text", "label", "split"])
    frame.to_csv(folder / name, index=False, encoding=encoding)
    return folder / name


ROWS = (
    ("The cat saw the dog.", "good", "train"),
    ("the dog isn't here", "bad", "train"),
    ("Cat! cat? Zebra", "good", "validation"),
    ("a zebra saw the cat again", "bad", "test"),
)


class TestTokens:
    @pytest.mark.parametrize(
        ("text", "tokens", "expected"),
        [
            ("It isn't so, is it?", "word", ["It", "isn't", "so", ",", "is", "it", "?"]),
            ("It’s\n\tTen%", "lower_word", ["it’s", "ten", "%"]),
            ("Ab c", "character", ["A", "b", " ", "c"]),
            ("Ab\n", "lower_character", ["a", "b", "\n"]),
            ("", "word", []),
        ],
    )
    def test_texts_are_tokenized(self, text: str, tokens: str, expected: list[str]) -> None:
        assert list(tokenize(text, tokens)) == expected

    def test_the_vocabulary_is_sorted_by_frequency_then_alphabet(self) -> None:
        known = build_vocabulary([["b", "a", "c", "a", "b", "d"], ["a", "c"]], block("", vocab_size=5))
        assert known == (*SPECIAL_TOKENS, "a", "b", "c")

    def test_rare_tokens_are_not_in_the_vocabulary(self) -> None:
        assert build_vocabulary([["a", "a", "b", "b", "b", "c"]], block("", min_count=2)) == (*SPECIAL_TOKENS, "b", "a")

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text(max_size=40), st.sampled_from(["word", "character"]), st.booleans())
    def test_known_tokens_are_decoded(self, text: str, level: str, lower: bool) -> None:
        tokens = list(tokenize(text, f"lower_{level}" if lower else level))
        if not tokens:
            return
        vocabulary = build_vocabulary([tokens], block("", vocab_size=100))
        (row,) = encode_tokens([tokens], vocabulary, 50, 1)
        assert row.dtype == np.int32
        assert UNKNOWN_INDEX not in row
        assert [vocabulary[i] for i in row if i != PADDING_INDEX] == tokens
        assert (row[len(tokens) :] == PADDING_INDEX).all()


class TestTexts:
    def test_the_vocabulary_is_that_of_training_rows(self, tmp_path: Path) -> None:
        dataset, _ = prepare(block(write_texts(tmp_path, *ROWS)), 0)
        # by hand: the 3, dog 2; then . cat here isn't saw once each
        assert dataset.schema.vocabulary == (*SPECIAL_TOKENS, "the", "dog", ".", "cat", "here", "isn't", "saw")
        assert dataset.schema.tokenizer == "lower_word"
        assert dataset.train.x.tolist() == [[2, 5, 8, 2], [2, 3, 7, 6]]
        assert dataset.validation.x.tolist() == [[5, UNKNOWN_INDEX, 5, UNKNOWN_INDEX]]
        assert dataset.test.x.tolist() == [[UNKNOWN_INDEX, UNKNOWN_INDEX, 8, 2]]
        assert (dataset.train.y.tolist(), dataset.schema.classes) == ([1, 0], ("bad", "good"))
        assert dataset.test.rows.tolist() == [3]

    def test_shorter_texts_are_padded_at_their_end(self, tmp_path: Path) -> None:
        dataset, _ = prepare(block(write_texts(tmp_path, *ROWS), max_length=7), 0)
        assert dataset.train.x[:, 4:].tolist() == [[3, 4, PADDING_INDEX], [PADDING_INDEX] * 3]
        assert dataset.schema.shape == (7,)

    def test_vocab_size_and_min_count_limit_the_vocabulary(self, tmp_path: Path) -> None:
        path = write_texts(tmp_path, *ROWS)
        assert prepare(block(path, min_count=2), 0)[0].schema.vocabulary == (*SPECIAL_TOKENS, "the", "dog")
        assert prepare(block(path, vocab_size=3), 0)[0].schema.vocabulary == (*SPECIAL_TOKENS, "the")

    def test_case_can_be_preserved(self, tmp_path: Path) -> None:
        schema = prepare(block(write_texts(tmp_path, *ROWS), lowercase=False), 0)[0].schema
        assert {"The", "the"} <= set(schema.vocabulary)
        assert schema.tokenizer == "word"

    def test_characters(self, tmp_path: Path) -> None:
        rows = [("ab a", "u", "train"), ("Ba", "v", "train"), ("ac", "u", "val"), ("", "v", "test")]
        dataset, _ = prepare(block(write_texts(tmp_path, *rows), tokenizer="character", max_length=5), 0)
        assert dataset.schema.vocabulary == (*SPECIAL_TOKENS, "a", "b", " ")
        assert dataset.train.x.tolist() == [[2, 3, 4, 2, 0], [3, 2, 0, 0, 0]]
        assert dataset.validation.x.tolist() == [[2, UNKNOWN_INDEX, 0, 0, 0]]

    def test_empty_texts_are_reported(self, tmp_path: Path) -> None:
        rows = [*ROWS, ("", "bad", "train"), (" \n ", "good", "test")]
        dataset, results = prepare(block(write_texts(tmp_path, *rows)), 0)
        assert dataset.train.x[-1].tolist() == [PADDING_INDEX] * 4
        assert [f.message for f in results if f.rule == "missing"] == ["2 texts are empty, the first in row 5"]

    def test_a_target_can_be_numeric(self, tmp_path: Path) -> None:
        rows = [(f"text {i}", str(i / 2), "train" if i < 4 else "test") for i in range(8)]
        split = RandomSplit(by="random", validation=0.25, test=0.25)
        dataset, _ = prepare(block(write_texts(tmp_path, *rows), task="regression", split=split), 0)
        assert (dataset.schema.classes, dataset.schema.values) == ((), ("label",))
        assert dataset.train.y.tolist() == (dataset.train.rows / 2).tolist()

    def test_a_split_by_time_sorts_dates_chronologically(self, tmp_path: Path) -> None:
        rows = [(f"text {i}", "uv"[i % 2], f"2024-1-{31 - i}") for i in range(25)]
        split = TimeSplit(by="time", column="split", validation=5, test=5)
        dataset, _ = prepare(block(write_texts(tmp_path, *rows), split=split), 0)
        assert dataset.test.rows.tolist() == [4, 3, 2, 1, 0]
        assert dataset.train.rows[0] == 24

    def test_groups_stay_together(self, tmp_path: Path) -> None:
        rows = [(f"text {i}", "uv"[i % 2], f"writer {i // 3}") for i in range(30)]
        split = GroupSplit(by="group", column="split", validation=0.2, test=0.2)
        dataset, _ = prepare(block(write_texts(tmp_path, *rows), split=split), 0)
        groups = [set(samples.rows // 3) for samples in dataset.splits().values()]
        assert [len(g) for g in groups] == [6, 2, 2]
        assert len(set.union(*groups)) == 10

    def test_parquet_and_csv_give_the_same_result(self, tmp_path: Path) -> None:
        path = write_texts(tmp_path, *ROWS)
        pd.read_csv(path).to_parquet(tmp_path / "a.parquet")
        one, other = (prepare(block(p), 0)[0] for p in (path, tmp_path / "a.parquet"))
        assert one.schema == other.schema
        for name in SPLITS:
            np.testing.assert_array_equal(getattr(one, name).x, getattr(other, name).x)

    def test_tokens_are_unchanged_by_the_pipeline(self, tmp_path: Path) -> None:
        params = block(write_texts(tmp_path, *ROWS))
        dataset, _ = prepare(params, 0)
        features = fit_scaling(dataset.train.x, dataset.schema, params)(dataset.test.x)
        np.testing.assert_array_equal(features, dataset.test.x)


MAILS = (
    ("Grüße aus Köln,\nbis später", "ham", "train"),
    ('Günstig: "100 % Rabatt", klick', "spam", "train"),
    ("façade", "spam", "validation"),
    ("später", "ham", "test"),
)


class TestEncodings:
    @pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
    def test_encodings_are_detected(self, tmp_path: Path, name: str, encoding: str) -> None:
        path = write_texts(tmp_path, *MAILS, name=name, encoding=encoding)
        dataset, _ = prepare(block(path), 0)
        assert dataset.schema.vocabulary[dataset.test.x[0, 0]] == "später"
        assert {"grüße", "köln"} <= set(dataset.schema.vocabulary)
        assert dataset.schema.classes == ("ham", "spam")

    def test_encodings_can_be_set(self, tmp_path: Path) -> None:
        path = write_texts(tmp_path, *MAILS, encoding="latin-1")
        with pytest.raises(DataError, match=r"must be CSV in UTF-8 with one header, but is not: byte "):
            prepare(block(path, format=FileFormat(encoding="utf-8")), 0)
        both = (read_text(path, block(path, format=FileFormat(encoding=e))).encode(PARTS) for e in ("latin-1", "auto"))
        assert next(both).schema == next(both).schema

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
    def test_encodings_of_a_long_text_are_detected(self, tmp_path: Path, encoding: str) -> None:
        path = write_file(tmp_path, ("Äpfel\r\n" * 20).encode(encoding), "a.txt")
        assert prepare(language_block(path), 0)[0].schema.vocabulary == (*SPECIAL_TOKENS, "\n", "e", "f", "l", "p", "ä")


PARTS = {"train": np.arange(2), "validation": np.arange(2, 3), "test": np.arange(3, 4)}


class TestLanguage:
    def test_targets_are_the_next_tokens(self, tmp_path: Path) -> None:
        # 17 characters, 14 windows of three and the next: 8 for training, 3 for validation, 3 for testing
        path = write_file(tmp_path, "ababacabacdABEFxx", "a.txt")
        dataset, _ = prepare(language_block(path, max_length=3), 0)
        # by hand: training windows and their targets are the first 11 characters, of which a 5, b 3, c 2, d 1
        vocabulary = (*SPECIAL_TOKENS, "a", "b", "c", "d")
        assert (dataset.schema.vocabulary, dataset.schema.classes) == (vocabulary, vocabulary)
        assert dataset.train.x[:2].tolist() == [[2, 3, 2], [3, 2, 3]]
        assert dataset.train.y.tolist() == [3, 2, 4, 2, 3, 2, 4, 5]
        assert dataset.validation.x[0].tolist() == [2, 4, 5]
        assert dataset.validation.y.tolist() == [2, 3, UNKNOWN_INDEX]
        assert dataset.test.y.tolist() == [UNKNOWN_INDEX] * 3
        assert {name: r.rows.tolist() for name, r in dataset.splits().items()} == {
            "train": [3, 4, 5, 6, 7, 8, 9, 10],
            "validation": [11, 12, 13],
            "test": [14, 15, 16],
        }

    def test_the_text_is_stored_once(self, tmp_path: Path) -> None:
        path = write_file(tmp_path, "abcd efgh " * 50, "a.txt")
        dataset, _ = prepare(language_block(path, max_length=100), 0)
        folder = tmp_path / "prepared"
        folder.mkdir()
        save_dataset(dataset, folder)
        write_manifest(folder)
        loaded = load_dataset(folder)
        for name, samples in loaded.splits().items():
            n = len(samples)
            # int32, after the 128-byte header of .npy
            assert (folder / name / "tokens.npy").stat().st_size == 128 + 4 * (n + 100 - 1)
            assert not (folder / name / "x.npy").exists()
            assert isinstance(samples.x, np.memmap)
            np.testing.assert_array_equal(samples.x, getattr(dataset, name).x)
            np.testing.assert_array_equal(samples.x[1:, -1], samples.y[:-1])
        assert np.shares_memory(dataset.train.x[0], dataset.train.x[99])

    def test_words(self, tmp_path: Path) -> None:
        path = write_file(tmp_path, "To be, or not to be. " * 4, "a.txt")
        dataset, _ = prepare(language_block(path, tokenizer="word", lowercase=False, max_length=2), 0)
        known = dataset.schema.vocabulary
        assert [known[i] for i in (*dataset.train.x[0], dataset.train.y[0])] == ["To", "be", ","]


class TestLeaks:
    def test_test_rows_change_nothing(self, tmp_path: Path) -> None:
        one, _ = prepare(block(write_texts(tmp_path, *ROWS)), 0)
        other, _ = prepare(block(write_texts(tmp_path, *ROWS[:3], ("zebra zebra " * 99, "good", "test"))), 0)
        assert one.schema == other.schema
        np.testing.assert_array_equal(one.train.x, other.train.x)
        np.testing.assert_array_equal(one.validation.x, other.validation.x)
        assert not np.array_equal(one.test.x, other.test.x)

    def test_the_end_of_a_long_text_changes_nothing(self, tmp_path: Path) -> None:
        # 100 characters, 96 windows: the last 40 are targets of validation and test rows
        start = "the quick brown fox jumps over the lazy dog, and then 123456"
        one, _ = prepare(language_block(write_file(tmp_path, start + "t" * 40, "a.txt")), 0)
        other, _ = prepare(language_block(write_file(tmp_path, start + "#%" * 20, "a.txt")), 0)
        assert one.schema == other.schema
        assert "6" in one.schema.vocabulary  # the last target of a training row
        np.testing.assert_array_equal(one.train.x, other.train.x)
        np.testing.assert_array_equal(one.train.y, other.train.y)
        assert (other.test.y == UNKNOWN_INDEX).all()


ABC = "text,label,split\none two,u,train\ntwo one,v,train\none,u,train\ntwo,v,test\n"
UTF16 = ("hello world " * 9).encode("utf-16")

REFUSED: list[tuple[str, str | bytes, dict[str, Any], str]] = [
    ("a.csv", "", {}, "must be CSV in UTF-8 with one header, but is not: it is empty; add rows"),
    ("a.csv", "text\na\nb\n", {}, ": target must name a column, but 'label' does not exist; the columns are text"),
    ("a.csv", "label\na\nb\n", {}, ": text must name a column, but 'text' does not exist; the columns are label"),
    (
        "a.csv",
        "text,label\na,u\nb,v\n",
        {},
        ": split.column must name a column, but 'split' does not exist; the columns are",
    ),
    (
        "a.csv",
        ABC.replace("two,v,test", "two,,test"),
        {},
        ": every row must have a target, but row 4 of column 'label'",
    ),
    (
        "a.csv",
        ABC.replace("one,u,train", "one,u,"),
        {},
        ": column 'split' must contain train, validation or test, but row",
    ),
    (
        "a.csv",
        'text,label,split\n"one,u,train\n',
        {},
        "must be CSV in UTF-8 with one header, but is not: a quote that opens in line 2",
    ),
    ("a.csv", ABC.replace("u", "1.5").replace("v", "2"), {}, ": classes must be text or integers"),
    (
        "a.csv",
        ABC.replace("u", "1").replace("v", "inf"),
        {"task": "regression"},
        "up to 1e+37, but contains inf in rows 2, 4",
    ),
    ("a.csv", ABC, {"min_count": 9}, ": a token must occur 9 times in training rows to be in the vocabulary, but none"),
    (
        "a.csv",
        b"\x89PNG\r\n\x1a\n\0\0\xff",
        {},
        "must be CSV in UTF-8 with one header, but is not: it contains zero bytes",
    ),
    (
        "a.csv",
        gzip.compress(ABC.encode(), mtime=0),
        {},
        "must be CSV in UTF-8 with one header, but is not: it contains zero bytes",
    ),
    ("a.csv.gz", ABC, {}, "must be CSV in UTF-8 with one header, but is not: Not a gzipped file"),
    (
        "a.csv.gz",
        gzip.compress(ABC.encode(), mtime=0)[:-9],
        {},
        "must be CSV in UTF-8 with one header, but is not: it is truncated; c",
    ),
    ("a.parquet", ABC, {}, "must be Parquet, but is not: "),
    ("a.txt", ABC, {}, "a table must be one of .csv, .csv.gz, .tsv, .tsv.gz, .parquet, .sklearn, but source is"),
]

NOVELS: list[tuple[str, str | bytes, dict[str, Any], str]] = [
    (
        "a.txt",
        "",
        {},
        "must have at least max_length + 10 = 4 + 10 tokens, but has 0; reduce `max_length`, or add text",
    ),
    (
        "a.txt",
        "too short it",
        {},
        "must have at least max_length + 10 = 4 + 10 tokens, but has 12; reduce `max_length`, or",
    ),
    (
        "a.txt",
        b"\x89PNG\r\n\x1a\n\0\0\xff" * 9,
        {},
        "must be text in utf-8, but is not: 'utf-8' codec can't decode",
    ),
    (
        "a.txt",
        ("ä" * 20).encode("latin-1"),
        {"format": FileFormat(encoding="utf-8")},
        "must be text in utf-8, but is not: 'utf-8' codec",
    ),
    ("a.txt", ("ä" * 20).encode()[:-1], {}, "must be text in utf-8, but is not: 'utf-8' codec can't decode byte 0xc3"),
    (
        "a.txt",
        UTF16,
        {"format": FileFormat(encoding="latin-1")},
        "must be text in latin-1, but contains zero bytes; save it as UTF-8",
    ),
    ("a.csv", ABC, {}, "task language_modeling needs a .txt, but source is"),
]


def assert_refused(path: Path, params: Text, line: str) -> None:
    with pytest.raises(DataError, match=rf"\A[^\n]*{re.escape(line)}[^\n]*\Z"):
        prepare(params, 0)
    assert list(path.parent.iterdir()) == [path]


class TestRefused:
    @pytest.mark.parametrize(("name", "content", "changes", "line"), REFUSED)
    def test_a_table(self, tmp_path: Path, name: str, content: str | bytes, changes: dict[str, Any], line: str) -> None:
        path = write_file(tmp_path, content, name)
        assert_refused(path, block(path, **changes), line)

    @pytest.mark.parametrize(("name", "content", "changes", "line"), NOVELS)
    def test_a_long_text(
        self, tmp_path: Path, name: str, content: str | bytes, changes: dict[str, Any], line: str
    ) -> None:
        path = write_file(tmp_path, content, name)
        assert_refused(path, language_block(path, **changes), line)

    @pytest.mark.parametrize(
        ("split", "cell", "line"),
        [
            (
                TimeSplit(by="time", column="split", validation=1, test=1),
                "soon",
                "must contain an ISO date or a number in",
            ),
            (
                TimeSplit(by="time", column="split", validation=1, test=1),
                "",
                "every row, but row 3 contains nan; fix it",
            ),
            (
                GroupSplit(by="group", column="split", validation=1, test=1),
                "",
                ": every row must have a group, but row 3",
            ),
        ],
    )
    def test_a_row_without_time_or_group(self, tmp_path: Path, split: Any, cell: str, line: str) -> None:
        rows = [(f"text {i}", "uv"[i % 2], cell if i == 2 else f"2024-01-0{i + 1}") for i in range(6)]
        path = write_texts(tmp_path, *rows)
        assert_refused(path, block(path, split=split), line)


def test_too_many_tokens_for_the_memory_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_texts(tmp_path, *ROWS)
    assert_refused(
        path, block(path, max_length=2**30), "a.csv: 4 samples of 1073741824 tokens need too much memory, the limit"
    )
    path.unlink()
    monkeypatch.setattr("fivefold.data.readers.text.MAX_TOKENS", 99)
    path = write_file(tmp_path, "a" * 30, "a.txt")
    assert_refused(
        path,
        language_block(path),
        "26 samples of 4 tokens need too much memory, the limit is 99 tokens; reduce `max_length`, or",
    )


def test_real_reviews() -> None:
    path = SHARED / "fine_foods.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    dataset, _ = prepare(block(path, max_length=64, min_count=2), 0)
    assert (len(dataset.train) + len(dataset.validation), len(dataset.test)) == (4000, 1000)
    assert dataset.schema.classes == ("great", "other")
    frame = pd.read_csv(path)
    counts = frame.iloc[dataset.train.rows]["text"].str.split(expand=False).explode().value_counts()
    assert next(token for token in dataset.schema.vocabulary[2:] if token.isalpha()) == counts.index[0] == "the"
    assert dataset.test.x.max() < len(dataset.schema.vocabulary)


def test_a_real_long_text() -> None:
    path = SHARED / "northanger_abbey.txt"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    text = path.read_text(encoding="utf-8")
    split = TimeSplit(by="time", validation=0.05, test=0.1)
    dataset, _ = prepare(language_block(path, max_length=32, lowercase=False, split=split), 0)
    known = dataset.schema.vocabulary
    assert "".join(known[i] for i in dataset.train.x[0]) == text[:32]
    last = dataset.test.x[-1]
    assert "".join(known[i] for i in [*last, dataset.test.y[-1]] if i != UNKNOWN_INDEX) in text[-33:]
    assert sum(map(len, (dataset.train, dataset.validation, dataset.test))) == len(text) - 32
