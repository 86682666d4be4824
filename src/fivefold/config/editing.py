"""Change values in the text of params.yaml, preserving comments and all text that need not change.

The old and the new tree are traversed in parallel with the YAML nodes, which have positions in the text. Flow
collections are split into items and the gaps between them; block collections are edited line by line. Finally the
result is parsed again and compared with the new tree.
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
"""The indicator before a value: the colon of a key or the dash of an item."""

COMMENT_PATTERN = re.compile(r"(.*?\S)( {2,})(#.*\s*)")
"""A line with a trailing comment after at least two spaces."""

MERGE_KEY = "<<"
"""Key that merges another block into this one; the merged keys are defined elsewhere in the text."""


class Edit(NamedTuple):
    """Replacement of the characters from `start` to `end` by `text`."""

    start: int
    end: int
    text: str


def update_yaml(text: str, new_tree: Mapping[str, Any]) -> str:
    """Return YAML text with the minimal changes that turn its tree into `new_tree`.

    Raises:
        ParamsError: anchors, aliases, tags or merge keys prevent the change.
    """
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(bom)
    old = _load_yaml(body)
    root = YAML(typ="safe", pure=True).compose(body)
    pieces, position = [bom], 0
    for edit in sorted(_YamlText(body).edit_block(root, old, new_tree), key=lambda edit: edit[:2]):
        pieces += [body[position : edit.start], edit.text]
        position = edit.end
    after = "".join([*pieces, body[position:]])
    # aligning fails where a string contains text that looks like a comment
    for candidate in (_align_comments(bom + body, after), after):
        if values_equal(_try_load_yaml(candidate.removeprefix(bom)), new_tree):
            return candidate
    raise _edit_error("an anchor, an alias, a tag or a merge key")


def values_equal(left: Any, right: Any) -> bool:
    """Return whether two values are equal in YAML: 1 equals 1.0, but not true."""
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
    """Return the parsed text; None if it is not valid YAML."""
    try:
        return _load_yaml(text)
    except YAMLError:
        return None


def _align_comments(before: str, after: str) -> str:
    """Return the text after a change, with the comments of changed lines in their former columns."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for kind, start, end, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "replace":
            matches = map(COMMENT_PATTERN.fullmatch, old[start:end])
            columns = {match[3]: match.start(3) for match in matches if match}
            new[first:last] = [_align_comment(line, columns) for line in new[first:last]]
    return "".join(new)


def _align_comment(line: str, columns: Mapping[str, int]) -> str:
    match = COMMENT_PATTERN.fullmatch(line)
    if match is None or match[3] not in columns:
        return line
    return match[1] + " " * max(2, columns[match[3]] - len(match[1])) + match[3]


def _edit_error(obstacle: str) -> ParamsError:
    return ParamsError(
        f"params.yaml must spell out every value to be edited automatically, but {obstacle} prevents a change; replace"
        " it by its value"
    )


class _YamlText:
    """YAML text with the positions of its nodes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"

    def edit_block(self, node: Node, old: Any, new: Any) -> Iterator[Edit]:
        """Yield the edits that turn a collection into another one; a flow collection is a single edit."""
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
        """Yield the edits that replace the value of an item of a block collection."""
        if _can_edit_in_place(item.node, old, new):
            yield from self.edit_block(item.node, _as_mapping(old), _as_mapping(new))
            return
        self.reject_anchor(item)
        has_key = item.key_end > item.key_start
        indicator = self.text.index(":", item.key_end) if has_key else self.text.rfind("-", 0, item.start)
        if "\n" in self.text[indicator : item.start]:  # delete the lines of the value, keep a comment after the key
            yield Edit(indicator + 1, indicator + 1, f" {format_flow(new)}")
            yield self.delete_lines(item.start, item.end)
            return
        before = self.text[item.start - 1 : item.start]
        yield Edit(item.start, item.end, format_flow(new) if before.isspace() or not before else f" {format_flow(new)}")

    def render_flow_collection(self, node: Node, old: Any, new: Any) -> str:
        """Return the text of a flow collection with new values."""
        start, end = self.span(node, 0)
        items, texts = self.items(node), list[str | None]()
        gaps, position = list[str](), self.text.index("[" if isinstance(node, SequenceNode) else "{", start) + 1
        head = self.text[start:position]
        for key, item in items.items():
            gaps.append(self.text[position : item.key_start])
            remains = key in new or key == MERGE_KEY
            texts.append(self.render_item(item, old.get(key), new.get(key)) if remains else None)
            position = item.end
        gaps.append(self.text[position : end - 1])
        fresh = [key for key in new if key not in items and not (key in old and values_equal(old[key], new[key]))]
        is_mapping = isinstance(node, MappingNode)
        extra = [
            f"{format_flow(key)}: {format_flow(new[key])}" if is_mapping else format_flow(new[key]) for key in fresh
        ]
        return head + join_items(gaps, texts, extra, self.newline) + self.text[end - 1]

    def render_item(self, item: Item, old: Any, new: Any) -> str:
        """Return the text of an item of a flow collection with a new value."""
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
        """Return the items of a collection, by key or by index."""
        items: dict[Any, Item] = {}
        position = node.start_mark.index
        for number, entry in enumerate(node.value):
            if isinstance(node, MappingNode):
                key, value = entry
                if not isinstance(key, ScalarNode):
                    raise _edit_error("a key that is not a scalar")
                ends = (key.start_mark.index, key.end_mark.index)
                start, end = self.span(value, ends[1])
                items[key.value] = Item(*ends, start, end, value)
            else:
                start, end = self.span(entry, position)
                items[number] = Item(start, start, start, end, entry)
            position = end
        return items

    def span(self, node: Node, previous_end: int) -> tuple[int, int]:
        """Return the start and end of a value; for an alias, those of the alias itself."""
        start, end = node.start_mark.index, node.end_mark.index
        if start < previous_end:
            alias = ALIAS_PATTERN.match(self.text, previous_end)
            if alias is None:
                raise _edit_error("an alias")
            return alias.span(1)
        if isinstance(node, CollectionNode) and not _is_flow_style(node) and node.value:
            end = list(self.items(node).values())[-1].end
        if start == end:  # an empty value: its node is located at the start of the next one
            indicator = INDICATOR_PATTERN.match(self.text, previous_end)
            start = end = previous_end if indicator is None else indicator.end()
        return start, start + len(self.text[start:end].rstrip())

    def reject_anchor(self, item: Item) -> None:
        """Raise a `ParamsError` if the value has an anchor or a tag."""
        if self.text[item.start : item.start + 1] in ("&", "!"):
            raise _edit_error(f"{self.text[item.start : item.end].split()[0]}")

    def delete_item(self, item: Item) -> Edit:
        """Return the edit that deletes the lines of an item."""
        start = self.text.rfind("\n", 0, item.key_start) + 1
        if self.text[start : item.key_start].strip(" -"):
            raise _edit_error("text before a key in its line")
        return self.delete_lines(item.key_start, max(item.end, item.key_end))

    def delete_lines(self, start: int, end: int) -> Edit:
        """Return the edit that deletes the lines from `start` to `end`."""
        return Edit(self.text.rfind("\n", 0, start) + 1, self.next_line_start(end), "")

    def next_line_start(self, position: int) -> int:
        """Return the position of the next line."""
        end = self.text.find("\n", position)
        return len(self.text) if end < 0 else end + 1

    def insert_lines(self, last_item: Item, lines: list[str]) -> Edit:
        """Return the edit that inserts lines after an item."""
        position = self.next_line_start(max(last_item.end, last_item.key_end))
        text = "".join(line + self.newline for line in lines)
        if self.text[position - 1] != "\n":
            text = self.newline + text.removesuffix(self.newline)
        return Edit(position, position, text)


def _is_flow_style(node: Node) -> bool:
    return isinstance(node, CollectionNode) and bool(node.flow_style)


def _as_mapping(value: Any) -> Any:
    """Return a list as a dict by index, other values unchanged."""
    return dict(enumerate(value)) if isinstance(value, list) else value


def _can_edit_in_place(node: Node, old: Any, new: Any) -> bool:
    """Return whether a collection can be edited item by item; of a block collection, one item must remain."""
    if not isinstance(node, CollectionNode) or not isinstance(old, list | dict) or type(old) is not type(new):
        return False
    return _is_flow_style(node) or bool(set(_as_mapping(old)) & set(_as_mapping(new)))
