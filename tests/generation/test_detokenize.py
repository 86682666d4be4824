import pytest

from fivefold.data.readers.text import tokenize
from fivefold.generation.text import separator_before

TEXTS = [
    "Tilney's well-known house, it seems, was (nearly) empty!",
    'he said: "no," and left. "why?" she cried; "wait!"',
    "“no,” he said—“not yet”",
    "it cost $5 and 20% more, and/or less",
    "don't",
]


def join(tokens: list[str], token_unit: str) -> str:
    return "".join(separator_before(tokens[:i], token, token_unit) + token for i, token in enumerate(tokens))


@pytest.mark.parametrize("text", TEXTS)
def test_words_and_marks_are_joined_as_in_the_text(text: str) -> None:
    assert join(list(tokenize(text, "word")), "word") == text


def test_characters_are_joined_without_separators() -> None:
    assert join(list(" a\n, b"), "lower_character") == " a\n, b"
