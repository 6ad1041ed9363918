"""Values that are typed in options: YAML, ``key=value`` pairs, and sizes such as ``5GB``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from paramtool.errors import ParamtoolError, Problems, shorten
from paramtool.language.arguments import mismatch
from paramtool.language.nodes import Node, Scalar
from paramtool.language.signature import Argument
from paramtool.language.values import Mismatch, convert
from paramtool.language.yaml_reader import read
from paramtool.place import Place, Text
from paramtool.quantities import SIZES, between

_TEXT = re.compile(r'"(?:\\.|[^"\\])*"' + r"|'(?:''|[^'])*'", re.DOTALL)
_AS_IN = "e.g. --with normal:mean=0,std=0.01"
_AS_LIST = "write a list as [0.9,0.999]; any text can be quoted"


def read_value(written: str, place: Place) -> Node:
    """Return the node that a typed value is in YAML; of nothing it is null.

    Raises:
        ParamtoolError: at `place`, if the value is not YAML.
    """
    try:
        return read(Text(place.text.name, written or "null", is_option=True))
    except Problems as error:
        raise ParamtoolError(error.message, place, error.hint) from error


def read_pairs(written: str, place: Place) -> Iterator[tuple[str, Node]]:
    """Yield the keys and values of ``key=value,key=value``: numbers, words, quoted texts and lists.

    Raises:
        ParamtoolError: at `place`, if a part is not a pair, or a value cannot be read.
    """
    rest: str | None = written
    while rest is not None:
        key, equals, value = rest.partition("=")
        if not equals or "," in key:
            message = f"expected key=value, got '{shorten(rest.partition(',')[0])}'"
            raise ParamtoolError(message, place, _AS_IN)
        end = _end(value, place)
        yield key.strip(), read_word(value[:end].strip(), place)
        rest = value[end + 1 :] if end < len(value) else None


def read_word(written: str, place: Place) -> Node:
    """Return the node of a value in which brackets and quotes count only where it begins with one.

    Raises:
        ParamtoolError: at `place`, if the value cannot be read.
    """
    if written[:1] in ("[", '"', "'"):
        return read_value(written, place)
    if written.endswith("]") and "[" not in written:
        raise ParamtoolError(f"'{shorten(written)}' closes a list that was never opened", place, _AS_LIST)
    found = None if written.startswith("{") else read_value(written, place)
    return found if isinstance(found, Scalar) else Scalar(place.text, 1, 1, written, written)


def _end(value: str, place: Place) -> int:
    """Return where a value ends: at the comma behind it, or with the text."""
    at, depth, before = 0, 0, ""
    is_list = value.lstrip().startswith("[")
    while at < len(value) and (depth > 0 or value[at] != ","):
        text = _TEXT.match(value, at) if before in ("", "[", ",") else None
        word = text[0] if text else value[at]
        if is_list:
            depth += (word == "[") - (word == "]")
        before = before if word.isspace() else word
        at += len(word)
    if depth:
        lacks = "opens a list that is never closed" if depth > 0 else "closes a list that was never opened"
        raise ParamtoolError(f"'{shorten(value[:at])}' {lacks}", place, _AS_LIST)
    return at


def read_size(option: str, given: str, command: str) -> int:
    """Return the bytes that were typed: ``5GB``, ``512 MiB``, ``1.5G``, or a plain number.

    Args:
        option: ``--max-shard-size``, where it was typed.
        given: what was typed.
        command: what the option is of.

    Raises:
        ParamtoolError: if it is not a size, or less than one byte.
    """
    written = given.strip()
    text = Text(f"{option} {shorten(given)}", "", is_option=True)
    node = Scalar(text, 1, 1, written, written)
    argument = Argument(option.lstrip("-"), "size")
    try:
        convert(node, argument.parsed_type, ())
    except Mismatch:
        raise mismatch(command, argument, node) from None
    size = between(None, written, SIZES).most
    if not size:
        raise ParamtoolError(f"the size '{shorten(given)}' is less than one byte", node.place)
    return size
