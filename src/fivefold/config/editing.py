"""Change values in the text of params.yaml: every comment, and every character that need not change, stays.

The tree as it is and the tree as it is to be are walked side by side, beside the nodes of the text that have a place
in it. What stands in braces is taken apart into items and the gaps between them; what stands in lines is edited by
lines. In the end the text is read again, and must be exactly what was wanted.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from ..errors import ParamsError
from .flow import Item, format_flow, join_items

ALIAS_PATTERN = re.compile(r"[\s:,\-?]*(\*[^\s,\]}]+)")

INDICATOR_PATTERN = re.compile(r"\s*:|(?:\s|#[^\n]*\n)*-")
"""Behind which a value stands: the colon of a key, the dash of an item."""

COMMENT_PATTERN = re.compile(r"(.*?\S)( {2,})(#.*\s*)")
"""A line with a comment behind what it says, in a column of its own."""
MERGE_KEY = "<<"
"""Key by which a block takes in another: what comes by it stands elsewhere."""


class Edit(NamedTuple):
    """What takes the place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str


def update_yaml(text: str, new_tree: Mapping[str, Any]) -> str:
    """Return YAML text with as few changes as make it the tree `wanted`.

    Raises:
        ParamsError: anchors or the like stand in the way.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(mark)
    old = _load_yaml(body)
    root = YAML(typ="safe", pure=True).compose(body)
    out, place = [mark], 0
    for edit in sorted(_YamlText(body).edit_block(root, old, new_tree), key=lambda edit: edit[:2]):
        out += [body[place : edit.start], edit.text]
        place = edit.end
    after = "".join([*out, body[place:]])
    for each in (
        _align_comments(mark + body, after),
        after,
    ):  # a text with # in it looks like a comment, and must not be moved
        if values_equal(_try_load_yaml(each.removeprefix(mark)), new_tree):
            return each
    raise _edit_error("an anchor, an alias, a tag or a merge key")


def values_equal(left: Any, right: Any) -> bool:
    """Return whether two values of a tree mean the same: 1 and 1.0 do, 1 and true do not."""
    if isinstance(left, dict) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(values_equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(values_equal, left, right))
    if isinstance(left, bool) or isinstance(right, bool) or isinstance(left, str) != isinstance(right, str):
        return left is right
    return bool(left == right)


def _load_yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _try_load_yaml(text: str) -> Any:
    """Return the tree of a text; None of one that is none."""
    try:
        return _load_yaml(text)
    except YAMLError:
        return None


def _align_comments(before: str, after: str) -> str:
    """Return the text after a change with the comments of changed lines in the columns where they were."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for kind, start, end, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "replace":
            columns = {found[3]: found.start(3) for found in map(COMMENT_PATTERN.fullmatch, old[start:end]) if found}
            new[first:last] = [_align_comment(line, columns) for line in new[first:last]]
    return "".join(new)


def _align_comment(line: str, columns: Mapping[str, int]) -> str:
    found = COMMENT_PATTERN.fullmatch(line)
    if found is None or found[3] not in columns:
        return line
    return found[1] + " " * max(2, columns[found[3]] - len(found[1])) + found[3]


def _edit_error(obstacle: str) -> ParamsError:
    return ParamsError(
        f"params.yaml must say each value where it stands, but {obstacle} is in the way of a change; write that value out"
        " by hand"
    )


class _YamlText:
    """The text, and where its nodes stand in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"

    def edit_block(self, node: Node, old: Any, new: Any) -> Iterator[Edit]:
        """Yield the edits that make a block another one; what stands in braces is one edit."""
        if _is_flow_style(node):
            yield Edit(*self.span(node, 0), self.render_flow_collection(node, old, new))
            return
        items = self.items(node)
        for key, item in items.items():
            if key == MERGE_KEY:
                continue
            if key not in new:
                yield self.delete_item(item)
            elif not values_equal(old[key], new[key]):
                yield from self.replace_item(item, old[key], new[key])
        fresh = [key for key in new if key not in items and not (key in old and values_equal(old[key], new[key]))]
        if fresh:
            lead = "" if isinstance(node, MappingNode) else "- "
            indent = " " * node.start_mark.column
            lines = [
                indent + (lead + format_flow(new[key]) if lead else f"{format_flow(key)}: {format_flow(new[key])}")
                for key in fresh
            ]
            yield self.insert_lines(list(items.values())[-1], lines)

    def replace_item(self, item: Item, old: Any, new: Any) -> Iterator[Edit]:
        """Yield the edits that give an item of a block another value."""
        if _can_edit_in_place(item.node, old, new):
            yield from self.edit_block(item.node, _as_mapping(old), _as_mapping(new))
            return
        self.reject_anchor(item)
        keyed = item.key_end > item.key_start
        mark = self.text.index(":", item.key_end) if keyed else self.text.rfind("-", 0, item.start)
        if "\n" in self.text[mark : item.start]:  # lines of its own go, and what stands behind the mark stays
            yield Edit(mark + 1, mark + 1, f" {format_flow(new)}")
            yield self.delete_lines(item.start, item.end)
            return
        before = self.text[item.start - 1 : item.start]
        yield Edit(item.start, item.end, format_flow(new) if before.isspace() or not before else f" {format_flow(new)}")

    def render_flow_collection(self, node: Node, old: Any, new: Any) -> str:
        """Return what stands in braces or brackets with other values in it."""
        start, end = self.span(node, 0)
        items, texts = self.items(node), list[str | None]()
        gaps, place = list[str](), self.text.index("[" if isinstance(node, SequenceNode) else "{", start) + 1
        head = self.text[start:place]
        for key, item in items.items():
            gaps.append(self.text[place : item.key_start])
            stays = key in new or key == MERGE_KEY
            texts.append(self.render_item(item, old.get(key), new.get(key)) if stays else None)
            place = item.end
        gaps.append(self.text[place : end - 1])
        fresh = [key for key in new if key not in items and not (key in old and values_equal(old[key], new[key]))]
        mapping = isinstance(node, MappingNode)
        extra = [f"{format_flow(key)}: {format_flow(new[key])}" if mapping else format_flow(new[key]) for key in fresh]
        return head + join_items(gaps, texts, extra, self.newline) + self.text[end - 1]

    def render_item(self, item: Item, old: Any, new: Any) -> str:
        """Return an item of what stands in braces, with another value."""
        if values_equal(old, new):
            return self.text[item.key_start : item.end]
        head = self.text[item.key_start : item.start]
        if item.key_end > item.key_start and ":" not in self.text[item.key_end : item.start]:
            head += ":"
        if _can_edit_in_place(item.node, old, new) and _is_flow_style(item.node):
            return head + self.render_flow_collection(item.node, _as_mapping(old), _as_mapping(new))
        self.reject_anchor(item)
        return head + (" " if head.endswith(":") and item.start == item.end else "") + format_flow(new)

    def items(self, node: Node) -> dict[Any, Item]:
        """Return the items of a collection: a mapping's by key, a sequence's by number."""
        found: dict[Any, Item] = {}
        place = node.start_mark.index
        for number, entry in enumerate(node.value):
            if isinstance(node, MappingNode):
                key, value = entry
                if not isinstance(key, ScalarNode):
                    raise _edit_error("a key that is no word")
                ends = (key.start_mark.index, key.end_mark.index)
                start, end = self.span(value, ends[1])
                found[key.value] = Item(*ends, start, end, value)
            else:
                start, end = self.span(entry, place)
                found[number] = Item(start, start, start, end, entry)
            place = end
        return found

    def span(self, node: Node, previous_end: int) -> tuple[int, int]:
        """Return from where to where a value stands; of an alias, where the alias does."""
        start, end = node.start_mark.index, node.end_mark.index
        if start < previous_end:
            alias = ALIAS_PATTERN.match(self.text, previous_end)
            if alias is None:
                raise _edit_error("an alias")
            return alias.span(1)
        if isinstance(node, CollectionNode) and not _is_flow_style(node) and node.value:
            end = list(self.items(node).values())[-1].end
        if start == end:  # nothing stands there: YAML has it where the next thing begins
            mark = INDICATOR_PATTERN.match(self.text, previous_end)
            start = end = previous_end if mark is None else mark.end()
        return start, start + len(self.text[start:end].rstrip())

    def reject_anchor(self, item: Item) -> None:
        """Refuse to put a value in the place of one that others may repeat, or that says its type."""
        if self.text[item.start : item.start + 1] in ("&", "!"):
            raise _edit_error(f"{self.text[item.start : item.end].split()[0]}")

    def delete_item(self, item: Item) -> Edit:
        """Return the edit that takes an item's lines out."""
        start = self.text.rfind("\n", 0, item.key_start) + 1
        if self.text[start : item.key_start].strip(" -"):
            raise _edit_error("what stands before a key in its line")
        return self.delete_lines(item.key_start, max(item.end, item.key_end))

    def delete_lines(self, start: int, end: int) -> Edit:
        """Return the edit that takes out whole lines."""
        return Edit(self.text.rfind("\n", 0, start) + 1, self.next_line_start(end), "")

    def next_line_start(self, position: int) -> int:
        """Return where the next line begins."""
        end = self.text.find("\n", position)
        return len(self.text) if end < 0 else end + 1

    def insert_lines(self, last_item: Item, lines: list[str]) -> Edit:
        """Return the edit that puts lines behind an item's last one."""
        place = self.next_line_start(max(last_item.end, last_item.key_end))
        text = "".join(line + self.newline for line in lines)
        if self.text[place - 1] != "\n":
            text = self.newline + text.removesuffix(self.newline)
        return Edit(place, place, text)


def _is_flow_style(node: Node) -> bool:
    return isinstance(node, CollectionNode) and bool(node.flow_style)


def _as_mapping(value: Any) -> Any:
    """Return a list as values by number."""
    return dict(enumerate(value)) if isinstance(value, list) else value


def _can_edit_in_place(node: Node, old: Any, new: Any) -> bool:
    """Return whether one block becomes another item by item: of blocks in lines, some must stay."""
    if not isinstance(node, CollectionNode) or not isinstance(old, list | dict) or type(old) is not type(new):
        return False
    return _is_flow_style(node) or bool(set(_as_mapping(old)) & set(_as_mapping(new)))
