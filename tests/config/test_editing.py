"""Editing values in params.yaml preserves comments, order, formatting and line endings."""

import copy
import difflib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from fivefold.config.editing import update_yaml, values_equal
from fivefold.config.flow import format_flow
from fivefold.errors import ParamsError

TEXT = """\
# first
models:
  mlp:  # of cells
    optimizer: {name: adamw,  # kind
      lr: 0.1 ,   # rate
      "beta1":0.9, beta2: 0.99}   # end
    line: {a: 1, b: 2, c: 3}
    lines: {
      a: 1,   # one
      b: 2,   # two

      # before three
      c: 3    # three
    }
    empty: {}
    hidden:   # units
      - 64   # narrow
      - 32   # narrower
    nothing:
    brackets: [64, 32]  # units
    block:
      # about x
      x: 1   # an x
      y: {z: 2}

    # about the last
    last: 1   # the end
  # behind
other: 'text'
"""


def tree(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def changed(key: str, value: Any = None, *, delete: bool = False, text: str = TEXT) -> list[str]:
    """Return the removed and added lines when a value of `models.mlp` changes."""
    new_tree = tree(text)
    *blocks, last = key.split(".")
    node = new_tree["models"]["mlp"]
    for name in blocks:
        node = node[name]
    if delete:
        del node[last]
    else:
        node[last] = value
    after = update_yaml(text, new_tree)
    assert values_equal(tree(after), new_tree)
    lines = difflib.ndiff(text.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


LAST = '-       "beta1":0.9, beta2: 0.99}   # end'
UNITS = "-     hidden:   # units"


@pytest.mark.parametrize(
    ("key", "value", "lines"),
    [
        ("optimizer.lr", 1e-5, ["-       lr: 0.1 ,   # rate", "+       lr: 0.00001 ,  # rate"]),
        ("optimizer.beta1", 0.5, [LAST, '+       "beta1":0.5, beta2: 0.99}   # end']),
        ("optimizer.name", "no: 1",
         ["-     optimizer: {name: adamw,  # kind", "+     optimizer: {name: 'no: 1',  # kind"]),
        ("optimizer.k", 3, [LAST, '+       "beta1":0.9, beta2: 0.99, k: 3}  # end']),
        ("lines.d", "32", ["-       c: 3    # three", "+       c: 3,   # three", "+       d: '32'"]),
        ("empty.x", [1], ["-     empty: {}", "+     empty: {x: [1]}"]),
        ("nothing", True, ["-     nothing:", "+     nothing: true"]),
        ("hidden", [128, 32], ["-       - 64   # narrow", "+       - 128  # narrow"]),
        ("hidden", [64, 32, 16], ["+       - 16"]),
        ("hidden", [64], ["-       - 32   # narrower"]),
        ("hidden", 64, [UNITS, "-       - 64   # narrow", "-       - 32   # narrower", "+     hidden: 64  # units"]),
        ("brackets", [8], ["-     brackets: [64, 32]  # units", "+     brackets: [8]       # units"]),
        ("brackets", [], ["-     brackets: [64, 32]  # units", "+     brackets: []        # units"]),
        ("block.y.z", {"a": None}, ["-       y: {z: 2}", "+       y: {z: {a: null}}"]),
        ("block.new", 0.5, ["+       new: 0.5"]),
        ("new", {"a": {"b": [1]}}, ["+     new: {a: {b: [1]}}"]),
        ("last", 2, ["-     last: 1   # the end", "+     last: 2   # the end"]),
    ],
)  # fmt: skip
def test_value_changes_in_its_line_and_its_comment_is_preserved(key: str, value: Any, lines: list[str]) -> None:
    assert sorted(changed(key, value)) == sorted(lines)


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        ("optimizer.lr", ["-       lr: 0.1 ,   # rate"]),
        ("optimizer.beta2", [LAST, '+       "beta1":0.9}                # end']),
        ("line.a", ["-     line: {a: 1, b: 2, c: 3}", "+     line: {b: 2, c: 3}"]),
        ("line.b", ["-     line: {a: 1, b: 2, c: 3}", "+     line: {a: 1, c: 3}"]),
        ("line.c", ["-     line: {a: 1, b: 2, c: 3}", "+     line: {a: 1, b: 2}"]),
        ("lines.b", ["-       b: 2,   # two"]),
        ("lines.c", ["-       b: 2,   # two", "-       c: 3    # three", "+       b: 2    # two"]),
        ("nothing", ["-     nothing:"]),
        ("hidden", ["-     hidden:   # units", "-       - 64   # narrow", "-       - 32   # narrower"]),
        ("block.x", ["-       x: 1   # an x"]),
        ("last", ["-     last: 1   # the end"]),
    ],
)
def test_deleting_a_key_deletes_its_trailing_comment(key: str, lines: list[str]) -> None:
    assert sorted(changed(key, delete=True)) == sorted(lines)


def test_string_that_looks_like_a_comment_is_not_moved() -> None:
    assert update_yaml("a: {x: 1, b: 'c   # d'}\n", {"a": {"x": 100, "b": "c   # d"}}) == "a: {x: 100, b: 'c   # d'}\n"


def test_line_endings_and_end_of_file_are_preserved() -> None:
    text = "\ufeff" + TEXT.replace("\n", "\r\n").rstrip()
    new_tree = tree(TEXT)
    new_tree["models"]["mlp"]["lines"]["d"] = 4
    new_tree["new"] = 1
    after = update_yaml(text, new_tree)
    assert after.startswith("\ufeff")
    assert after.endswith("other: 'text'\r\nnew: 1")
    assert after.count("\n") == after.count("\r\n") == text.count("\n") + 2


def test_json_file_remains_json() -> None:
    assert update_yaml('{"a": {"b":1, "c": [1,2]}}', {"a": {"b": 2, "c": [1, 3]}}) == '{"a": {"b":2, "c": [1,3]}}'


ANCHORS = """\
base: &base {lr: &rate 0.1, k: 1}
models:
  one: {lr: *rate, k: 2}
  two:
    <<: *base
    k: 3
  three: *base
  four: {lr: !!float 1}
"""


@pytest.mark.parametrize(
    ("model", "key", "line"),
    [("one", "k", "  one: {lr: *rate, k: 5}"), ("one", "lr", "  one: {lr: 5, k: 2}"), ("two", "lr", "    lr: 5")],
)
def test_anchors_are_preserved(model: str, key: str, line: str) -> None:
    new_tree = tree(ANCHORS)
    new_tree["models"][model][key] = 5
    assert line in update_yaml(ANCHORS, new_tree).splitlines()


@pytest.mark.parametrize(
    ("keys", "obstacle"),
    [(("base", "lr"), "&rate"), (("base", "k"), "a merge key"), (("models", "three", "lr"), "&rate"),
     (("models", "three", "k"), "an anchor"), (("models", "four", "lr"), "!!float")],
)  # fmt: skip
def test_value_used_by_an_alias_is_not_changed(keys: tuple[str, ...], obstacle: str) -> None:
    new_tree = node = copy.deepcopy(tree(ANCHORS))
    for key in keys[:-1]:
        node[key] = node = copy.copy(node[key])
    node[keys[-1]] = 5
    with pytest.raises(
        ParamsError, match=rf"params\.yaml must spell out .* but .*{obstacle}.* prevents a change; replace it"
    ):
        update_yaml(ANCHORS, new_tree)


def test_merged_key_cannot_be_deleted() -> None:
    new_tree = tree(ANCHORS)
    del new_tree["models"]["two"]["lr"]
    with pytest.raises(ParamsError, match="a merge key prevents a change"):
        update_yaml(ANCHORS, new_tree)


NAMES = st.sampled_from(["lr", "name", "hidden", "x y", "on", "32", "k", "dropout"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from([1e-05, 0.1, 3.0, 1e22]),
    st.sampled_from(["adamw", "a, b", "# no", "c: d", "'", "32", "yes", "", "é", " pad ", "{", "- x"]),
)  # fmt: skip
TREES = st.recursive(
    SCALARS, lambda inner: st.dictionaries(NAMES, inner, max_size=4) | st.lists(inner, max_size=3), max_leaves=12
)
BLOCKS = st.dictionaries(NAMES, TREES, min_size=1, max_size=5)


class Writer:
    """Writes a tree as YAML in a random style: flow or block collections, comments and spaces anywhere."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.comments = draw, 0

    def comment(self) -> str:
        if not self.draw(st.booleans()):
            return ""
        self.comments += 1
        return f"  # c{self.comments}"

    def flow(self, value: Any, indent: str) -> str:
        if not isinstance(value, dict | list) or not value:
            return format_flow(value)
        is_multiline = self.draw(st.booleans())
        lead = f"{self.comment()}\n{indent}  " if is_multiline else self.draw(st.sampled_from(["", " "]))
        text = ("{" if isinstance(value, dict) else "[") + lead
        pairs = list(value.items()) if isinstance(value, dict) else [(None, item) for item in value]
        for i, (key, inner) in enumerate(pairs):
            text += ("" if key is None else f"{format_flow(key)}: ") + self.flow(inner, indent + "  ")
            if i < len(pairs) - 1:
                text += "," + (f"{self.comment()}\n{indent}  " if self.draw(st.booleans()) else " ")
        text += self.draw(st.sampled_from(["", ",", " "]))
        text += f"{self.comment()}\n{indent}  " if is_multiline else ""
        return text + ("}" if isinstance(value, dict) else "]")

    def block(self, value: Any, indent: str) -> str:
        text = ""
        for key, inner in value.items() if isinstance(value, dict) else [(None, item) for item in value]:
            head = indent + ("-" if key is None else f"{format_flow(key)}:")
            above = self.comment()
            text += f"{indent}{above.strip()}\n" if above else self.draw(st.sampled_from(["", "\n"]))
            if isinstance(inner, dict | list) and inner and self.draw(st.booleans()):
                text += f"{head}{self.comment()}\n{self.block(inner, indent + '  ')}"
            elif inner is None and self.draw(st.booleans()):
                text += f"{head}{self.comment()}\n"
            else:
                text += f"{head} {self.flow(inner, indent)}{self.comment()}\n"
        return text


@st.composite
def yaml_texts(draw: st.DrawFn) -> tuple[dict[str, Any], str, int]:
    """Draw a tree, its text and the number of comments in the text."""
    block, writer = draw(BLOCKS), Writer(draw)
    return block, writer.block(block, ""), writer.comments


@given(yaml_texts(), BLOCKS)
def test_any_text_can_be_updated_to_any_tree(drawn: tuple[dict[str, Any], str, int], new_tree: dict[str, Any]) -> None:
    block, text, _ = drawn
    assert values_equal(tree(text), block)
    assert values_equal(tree(update_yaml(text, new_tree)), new_tree)


@given(yaml_texts(), st.data())
def test_changing_one_value_preserves_every_comment(
    drawn: tuple[dict[str, Any], str, int], data: st.DataObject
) -> None:
    block, text, comments = drawn
    new_tree = node = copy.deepcopy(block)
    while True:
        key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[key], dict | list) or not node[key]:
            break
        node = node[key]
    node[key] = data.draw(SCALARS)
    after = update_yaml(text, new_tree)
    assert values_equal(tree(after), new_tree)
    assert all(f"# c{number}" in after for number in range(1, comments + 1))
    assert sum(line not in after.splitlines() for line in text.splitlines()) <= 1


@given(yaml_texts())
def test_same_tree_gives_the_same_text(drawn: tuple[dict[str, Any], str, int]) -> None:
    block, text, _ = drawn
    assert update_yaml(text, block) == text
