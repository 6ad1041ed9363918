"""From YAML text to nodes with places, with the limits checked as the text goes by.

Nodes are composed from PyYAML's event stream, not by its composer: the C composer dies of a
segmentation fault in deep nesting, and neither one bounds what aliases expand to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

import yaml

from paramtool.errors import ParamtoolError, Problems, shorten
from paramtool.language import limits
from paramtool.language.nodes import Mapping, Node, Plain, Scalar, Sequence, resolve
from paramtool.place import Place, Text

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def read(text: Text) -> Node:
    """Return the root node of the one YAML document in `text`.

    Raises:
        Problems: with every duplicate key, tag and unreadable number, or the one syntax error or
            exceeded limit that reading stopped at.
    """
    bad = _FORBIDDEN.search(text.content)
    if bad:
        raise Problems([_forbidden(text, bad)])
    composer = _Composer(text)
    try:
        for event in _events(text):
            composer.take(event)
    except ParamtoolError as error:
        composer.problems.append(error)
    if composer.problems:
        raise Problems(composer.problems)
    if composer.root is None:
        raise Problems([ParamtoolError(f"{text.name} is empty", hint="a spec starts with 'model:'")])
    return composer.root


def _events(text: Text) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text.content, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(text, error) from error
    except (ValueError, OverflowError) as error:  # "\Uffffffff", where PyYAML is without libyaml
        raise ParamtoolError(f"not valid YAML: an escape in {text.name} is not a character") from error


class _Composer:
    """Builds nodes from events: a stack of open collections, no recursion."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.root: Node | None = None
        self.problems: list[ParamtoolError] = []
        self._open: list[Mapping | Sequence] = []
        self._keys: list[Scalar | None] = []  # the key that waits for its value, one for each open
        self._seen: list[set[str]] = []  # the keys so far, one set for each open collection
        self._anchors: dict[str, Node] = {}
        self._expanded: dict[int, tuple[int, int]] = {}  # by id of a closed anchored node
        self._sizes: list[list[int]] = []  # nodes and height of each open collection
        self._count = 0

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            self._start(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end(event)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise ParamtoolError("a second document", self._place(event), "a spec is one document")

    def _place(self, event: yaml.Event) -> Place:
        return Place(self.text, *_position(event))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        value: Plain = event.value
        is_plain = not event.style  # the C parser says '', the Python one None
        if event.implicit[0] and is_plain:
            try:
                value = resolve(event.value)
            except ValueError as error:
                self.problems.append(ParamtoolError(str(error), self._place(event)))
                value = None
        elif event.tag is not None:
            self._refuse_tag(event)
        node = Scalar(self.text, *_position(event), event.value, value)
        if is_plain and event.value == "<<" and self._expects_key():
            self.problems.append(
                ParamtoolError("merge keys ('<<') are refused", self._place(event), "write the keys out")
            )
        self._name(event, node)
        self._add(event, node, 1, 1)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = event.anchor or ""
        target = self._anchors.get(name)
        if target is None:
            raise ParamtoolError(f"no anchor '{shorten(name)}' above", self._place(event))
        if any(target is node for node in self._open):
            raise ParamtoolError(f"alias '*{shorten(name)}' is inside its own anchor", self._place(event))
        if self._expects_key():
            raise ParamtoolError("a key cannot be an alias", self._place(event))
        size, height = self._expanded.get(id(target), (1, 1))
        self._add(event, target, size, height)

    def _start(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent) -> None:
        if self._expects_key():
            raise ParamtoolError("a key must be a single value", self._place(event))
        if len(self._open) >= limits.MAX_DEPTH:
            raise ParamtoolError(f"nested deeper than {limits.MAX_DEPTH} levels", self._place(event))
        if event.tag is not None:
            self._refuse_tag(event)
        kind = Mapping if isinstance(event, yaml.MappingStartEvent) else Sequence
        node = kind(self.text, *_position(event))
        self._name(event, node)
        self._open.append(node)
        self._keys.append(None)
        self._seen.append(set())
        self._sizes.append([1, 0])

    def _end(self, event: yaml.Event) -> None:
        node = self._open.pop()
        self._keys.pop()
        self._seen.pop()
        size, height = self._sizes.pop()
        if node.anchor:
            self._expanded[id(node)] = (size, height + 1)
        self._add(event, node, size, height + 1)

    def _add(self, event: yaml.Event, node: Node, size: int, height: int) -> None:
        """Put a finished node where it belongs: a key, a value, an item or the root."""
        self._check_limits(event, size, height)
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if not isinstance(event, yaml.AliasEvent):
            node.parent = parent
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif self._keys[-1] is None:
            self._key(cast("Scalar", node))
        else:
            parent.entries.append((self._keys[-1], node))
            self._keys[-1] = None

    def _key(self, key: Scalar) -> None:
        if key.anchor is not None:
            name = shorten(key.anchor)
            message = f"the anchor '{name}' is on the key '{shorten(key.raw)}', not on the whole mapping"
            hint = f"write &{name} {{{shorten(key.raw)}: …}}"
            self.problems.append(ParamtoolError(message, key.place, hint))
        self._keys[-1] = key
        if key.raw in self._seen[-1]:
            self.problems.append(ParamtoolError(f"duplicate key '{shorten(key.raw)}'", key.place))
        self._seen[-1].add(key.raw)

    def _expects_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1], Mapping) and self._keys[-1] is None

    def _name(self, event: yaml.NodeEvent, node: Node) -> None:
        if event.anchor is not None:
            node.anchor = event.anchor
            self._anchors[event.anchor] = node

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        quoted = isinstance(event, yaml.ScalarEvent) and event.tag == "!" and event.style
        if not quoted:
            message = f"the tag '{shorten(event.tag or '')}' is refused"
            self.problems.append(ParamtoolError(message, self._place(event), "a spec is plain data"))

    def _check_limits(self, event: yaml.Event, size: int, height: int) -> None:
        self._count += 1
        if self._count > limits.MAX_NODES:
            raise ParamtoolError(f"more than {limits.MAX_NODES:,} YAML nodes", self._place(event))
        if not self._sizes:
            return
        around = self._sizes[-1]
        around[0] += size
        around[1] = max(around[1], height)
        if around[0] > limits.MAX_EXPANDED_NODES:
            raise ParamtoolError(
                f"the aliases expand to more than {limits.MAX_EXPANDED_NODES:,} nodes", self._place(event)
            )
        if around[1] > limits.MAX_DEPTH:
            raise ParamtoolError(
                f"nested deeper than {limits.MAX_DEPTH} levels through aliases", self._place(event)
            )


def _position(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None  # parsed events have one; hand-made ones may not
    return mark.line + 1, mark.column + 1


def _forbidden(text: Text, found: re.Match[str]) -> ParamtoolError:
    before = Text(text.name, text.content[: found.start()]).lines
    message = f"the character U+{ord(found[0]):04X} is not allowed in YAML"
    return ParamtoolError(message, Place(text, len(before), len(before[-1]) + 1), "is this a text file?")


def _syntax_error(text: Text, error: yaml.MarkedYAMLError) -> ParamtoolError:
    context = (error.context or "").replace("while scanning for the next token", "")
    where, start = _place_of(error.problem_mark, text), _place_of(error.context_mark, text)
    if where is None:  # at the end of the text, which does not show what was left open
        where = start
    elif start is not None and context and start.line != where.line:
        context += f" from line {start.line}"
    message = ", ".join(part for part in (context, error.problem) if part)
    is_tab = where is not None and text.lines[where.line - 1][where.column - 1 :].startswith("\t")
    hint = "indent with spaces, not with a tab" if is_tab else None
    return ParamtoolError(f"not valid YAML: {shorten(message, 200)}", where, hint)


def _place_of(mark: yaml.Mark | None, text: Text) -> Place | None:
    """Return the place of `mark`, or None at the end of the text."""
    if mark is None or (mark.line + 1, mark.column) >= (len(text.lines), len(text.lines[-1])):
        return None
    return Place(text, mark.line + 1, mark.column + 1)
