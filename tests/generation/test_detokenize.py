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


def joined(tokens: list[str], how: str) -> str:
    return "".join(separator_before(tokens[:i], token, how) + token for i, token in enumerate(tokens))


@pytest.mark.parametrize("text", TEXTS)
def test_words_and_signs_are_set_as_they_were(text: str) -> None:
    assert joined(list(tokenize(text, "word")), "word") == text


def test_characters_stand_as_they_are() -> None:
    assert joined(list(" a\n, b"), "lower_character") == " a\n, b"
