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
from .flow import Item, flow, joined

ALIAS = re.compile(r"[\s:,\-?]*(\*[^\s,\]}]+)")

MARK = re.compile(r"\s*:|(?:\s|#[^\n]*\n)*-")
"""Behind which a value stands: the colon of a key, the dash of an item."""

COMMENT = re.compile(r"(.*?\S)( {2,})(#.*\s*)")
"""A line with a comment behind what it says, in a column of its own."""
MERGE = "<<"
"""Key by which a block takes in another: what comes by it stands elsewhere."""


class Edit(NamedTuple):
    """What takes the place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str


def edited(text: str, wanted: Mapping[str, Any]) -> str:
    """Return YAML text with as few changes as make it the tree `wanted`.

    Raises:
        ParamsError: anchors or the like stand in the way.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(mark)
    old = _tree(body)
    root = YAML(typ="safe", pure=True).compose(body)
    out, place = [mark], 0
    for edit in sorted(_Text(body).changes(root, old, wanted), key=lambda edit: edit[:2]):
        out += [body[place : edit.start], edit.text]
        place = edit.end
    after = "".join([*out, body[place:]])
    for each in (
        _aligned(mark + body, after),
        after,
    ):  # a text with # in it looks like a comment, and must not be moved
        if same(_found(each.removeprefix(mark)), wanted):
            return each
    raise _refused("an anchor, an alias, a tag or a merge key")


def same(one: Any, other: Any) -> bool:
    """Return whether two values of a tree mean the same: 1 and 1.0 do, 1 and true do not."""
    if isinstance(one, dict) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool) or isinstance(one, str) != isinstance(other, str):
        return one is other
    return bool(one == other)


def _tree(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _found(text: str) -> Any:
    """Return the tree of a text; None of one that is none."""
    try:
        return _tree(text)
    except YAMLError:
        return None


def _aligned(before: str, after: str) -> str:
    """Return the text after a change with the comments of changed lines in the columns where they were."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for kind, start, end, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "replace":
            columns = {found[3]: found.start(3) for found in map(COMMENT.fullmatch, old[start:end]) if found}
            new[first:last] = [_in_column(line, columns) for line in new[first:last]]
    return "".join(new)


def _in_column(line: str, columns: Mapping[str, int]) -> str:
    found = COMMENT.fullmatch(line)
    if found is None or found[3] not in columns:
        return line
    return found[1] + " " * max(2, columns[found[3]] - len(found[1])) + found[3]


def _refused(what: str) -> ParamsError:
    return ParamsError(
        f"params.yaml must say each value where it stands, but {what} is in the way of a change; write that value out"
        " by hand"
    )


class _Text:
    """The text, and where its nodes stand in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"

    def changes(self, node: Node, old: Any, new: Any) -> Iterator[Edit]:
        """Yield the edits that make a block another one; what stands in braces is one edit."""
        if _in_braces(node):
            yield Edit(*self.span(node, 0), self.braces(node, old, new))
            return
        items = self.items(node)
        for key, item in items.items():
            if key == MERGE:
                continue
            if key not in new:
                yield self.cut(item)
            elif not same(old[key], new[key]):
                yield from self.replaced(item, old[key], new[key])
        fresh = [key for key in new if key not in items and not (key in old and same(old[key], new[key]))]
        if fresh:
            lead = "" if isinstance(node, MappingNode) else "- "
            indent = " " * node.start_mark.column
            lines = [indent + (lead + flow(new[key]) if lead else f"{flow(key)}: {flow(new[key])}") for key in fresh]
            yield self.added(list(items.values())[-1], lines)

    def replaced(self, item: Item, old: Any, new: Any) -> Iterator[Edit]:
        """Yield the edits that give an item of a block another value."""
        if _alike(item.node, old, new):
            yield from self.changes(item.node, _keyed(old), _keyed(new))
            return
        self.refuse_anchor(item)
        keyed = item.key_end > item.key_start
        mark = self.text.index(":", item.key_end) if keyed else self.text.rfind("-", 0, item.start)
        if "\n" in self.text[mark : item.start]:  # lines of its own go, and what stands behind the mark stays
            yield Edit(mark + 1, mark + 1, f" {flow(new)}")
            yield self.lines(item.start, item.end)
            return
        before = self.text[item.start - 1 : item.start]
        yield Edit(item.start, item.end, flow(new) if before.isspace() or not before else f" {flow(new)}")

    def braces(self, node: Node, old: Any, new: Any) -> str:
        """Return what stands in braces or brackets with other values in it."""
        start, end = self.span(node, 0)
        items, texts = self.items(node), list[str | None]()
        gaps, place = list[str](), self.text.index("[" if isinstance(node, SequenceNode) else "{", start) + 1
        head = self.text[start:place]
        for key, item in items.items():
            gaps.append(self.text[place : item.key_start])
            stays = key in new or key == MERGE
            texts.append(self.item(item, old.get(key), new.get(key)) if stays else None)
            place = item.end
        gaps.append(self.text[place : end - 1])
        fresh = [key for key in new if key not in items and not (key in old and same(old[key], new[key]))]
        mapping = isinstance(node, MappingNode)
        extra = [f"{flow(key)}: {flow(new[key])}" if mapping else flow(new[key]) for key in fresh]
        return head + joined(gaps, texts, extra, self.newline) + self.text[end - 1]

    def item(self, item: Item, old: Any, new: Any) -> str:
        """Return an item of what stands in braces, with another value."""
        if same(old, new):
            return self.text[item.key_start : item.end]
        head = self.text[item.key_start : item.start]
        if item.key_end > item.key_start and ":" not in self.text[item.key_end : item.start]:
            head += ":"
        if _alike(item.node, old, new) and _in_braces(item.node):
            return head + self.braces(item.node, _keyed(old), _keyed(new))
        self.refuse_anchor(item)
        return head + (" " if head.endswith(":") and item.start == item.end else "") + flow(new)

    def items(self, node: Node) -> dict[Any, Item]:
        """Return the items of a collection: a mapping's by key, a sequence's by number."""
        found: dict[Any, Item] = {}
        place = node.start_mark.index
        for number, entry in enumerate(node.value):
            if isinstance(node, MappingNode):
                key, value = entry
                if not isinstance(key, ScalarNode):
                    raise _refused("a key that is no word")
                ends = (key.start_mark.index, key.end_mark.index)
                start, end = self.span(value, ends[1])
                found[key.value] = Item(*ends, start, end, value)
            else:
                start, end = self.span(entry, place)
                found[number] = Item(start, start, start, end, entry)
            place = end
        return found

    def span(self, node: Node, behind: int) -> tuple[int, int]:
        """Return from where to where a value stands; of an alias, where the alias does."""
        start, end = node.start_mark.index, node.end_mark.index
        if start < behind:
            alias = ALIAS.match(self.text, behind)
            if alias is None:
                raise _refused("an alias")
            return alias.span(1)
        if isinstance(node, CollectionNode) and not _in_braces(node) and node.value:
            end = list(self.items(node).values())[-1].end
        if start == end:  # nothing stands there: YAML has it where the next thing begins
            mark = MARK.match(self.text, behind)
            start = end = behind if mark is None else mark.end()
        return start, start + len(self.text[start:end].rstrip())

    def refuse_anchor(self, item: Item) -> None:
        """Refuse to put a value in the place of one that others may repeat, or that says its type."""
        if self.text[item.start : item.start + 1] in ("&", "!"):
            raise _refused(f"{self.text[item.start : item.end].split()[0]}")

    def cut(self, item: Item) -> Edit:
        """Return the edit that takes an item's lines out."""
        start = self.text.rfind("\n", 0, item.key_start) + 1
        if self.text[start : item.key_start].strip(" -"):
            raise _refused("what stands before a key in its line")
        return self.lines(item.key_start, max(item.end, item.key_end))

    def lines(self, start: int, end: int) -> Edit:
        """Return the edit that takes out whole lines."""
        return Edit(self.text.rfind("\n", 0, start) + 1, self.line_end(end), "")

    def line_end(self, place: int) -> int:
        """Return where the next line begins."""
        end = self.text.find("\n", place)
        return len(self.text) if end < 0 else end + 1

    def added(self, last: Item, lines: list[str]) -> Edit:
        """Return the edit that puts lines behind an item's last one."""
        place = self.line_end(max(last.end, last.key_end))
        text = "".join(line + self.newline for line in lines)
        if self.text[place - 1] != "\n":
            text = self.newline + text.removesuffix(self.newline)
        return Edit(place, place, text)


def _in_braces(node: Node) -> bool:
    return isinstance(node, CollectionNode) and bool(node.flow_style)


def _keyed(value: Any) -> Any:
    """Return a list as values by number."""
    return dict(enumerate(value)) if isinstance(value, list) else value


def _alike(node: Node, old: Any, new: Any) -> bool:
    """Return whether one block becomes another item by item: of blocks in lines, some must stay."""
    if not isinstance(node, CollectionNode) or not isinstance(old, list | dict) or type(old) is not type(new):
        return False
    return _in_braces(node) or bool(set(_keyed(old)) & set(_keyed(new)))
