"""Read inputs from the command line: ``--input 2,4``, ``--input src=10,2,8,randn``."""

from __future__ import annotations

import re
from collections.abc import Sequence as Given
from dataclasses import replace

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.document import Inputs
from paramtool.language.dtype_words import is_dtype_word, torch_word
from paramtool.language.nodes import Mapping, Node, Scalar, Sequence
from paramtool.language.option_values import read_value
from paramtool.language.tensors import FILLS, read_tensor
from paramtool.language.tree import TensorNode
from paramtool.language.yaml_reader import read
from paramtool.place import Place, Text
from paramtool.suggestion import suggest

EXAMPLE = "e.g. 2,4 or 2,16,randint=1000"
_TARGET_EXAMPLE = "e.g. labels.pt, randint=10, fill=0 or zeros"
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_SIZE = re.compile(r"[0-9]+")
_OTHER_SIZES = re.compile(r"(\(?[0-9]+(?:\s*[x×*,]\s*[0-9]+)*\s*(?:,\s*)?\)?)(,.*)?", re.DOTALL)
"""Sizes as others write them, ``2x4`` or ``(2,4)``, and what may follow."""


def read_inputs(given: Given[str], dtypes: tuple[str, ...]) -> Inputs:
    """Return the inputs that were typed, one an option; see `read_input`.

    Raises:
        ParamtoolError: at the option that is wrong.
    """
    positional: list[TensorNode] = []
    named: dict[str, TensorNode] = {}
    for each in given:
        name, tensor = read_input(each, dtypes)
        if name is None:
            positional.append(tensor)
        elif name in named:
            raise ParamtoolError(f"'{name}' appears twice", tensor.place)
        else:
            named[name] = tensor
    return Inputs(tuple(positional), named)


def read_input(written: str, dtypes: tuple[str, ...]) -> tuple[str | None, TensorNode]:
    """Return the name of an input, None if it comes by position, and its tensor.

    It is ``[NAME=]SIZE,…[,FILL][,dtype=DTYPE]`` with FILL one of rand (the default), randn, zeros,
    ones, arange, ``randint=HIGH``, ``randint=LOW:HIGH`` and ``fill=NUMBER``; or what a spec has under
    ``input``, such as ``{values: [[1.0]]}``.

    Raises:
        ParamtoolError: if it is none of this.
    """
    text = Text(f"--input {shorten(written)}", written, is_option=True)
    match = _NAMED.fullmatch(written)
    name, tensor = (match[1], match[2]) if match else (None, written)
    return name, read_tensor("input", _node(tensor.strip(), text), dtypes)


def read_target(written: str, dtypes: tuple[str, ...]) -> TensorNode:
    """Return the target that was typed, as an input is; a fill alone takes the shape that the loss needs.

    Raises:
        ParamtoolError: if it is none of this.
    """
    text = Text(f"--target {shorten(written)}", written, is_option=True)
    fill = written.strip()
    if fill[:1] in ("{", "[") or _SIZE.match(fill) or not fill:
        return read_tensor("input", _node(fill, text, _TARGET_EXAMPLE), dtypes)
    found = read_tensor("input", _node(f"0,{fill}", text, _TARGET_EXAMPLE), dtypes)
    return replace(found, shape=None)


def _node(written: str, text: Text, example: str = EXAMPLE) -> Node:
    """Write what was typed as the node that a spec has for it."""
    if written[:1] in ("{", "["):
        return read_value(written, Place(text, 1, 1))
    other = _OTHER_SIZES.fullmatch(written)
    if other is not None and not set("x×*()").isdisjoint(other[1]):
        meant = f"{','.join(_SIZE.findall(other[1]))}{other[2] or ''}"
        error = ParamtoolError("sizes are written with commas", Place(text, 1, 1))
        raise error.mended(text.content, text.content.replace(written, meant))
    parts = [part.strip() for part in written.split(",")]
    sizes = [part for part in parts if _SIZE.fullmatch(part)]
    tensor = Mapping(text, 1, 1)
    _put(tensor, "shape", Sequence(text, 1, 1, [_scalar(part, text) for part in sizes]))
    for part in parts[len(sizes) :]:
        _option(tensor, part, text, example)
    if parts[: len(sizes)] != sizes or not sizes:
        raise ParamtoolError("an input starts with its sizes", tensor.place, example)
    return tensor


def _option(tensor: Mapping, part: str, text: Text, example: str) -> None:
    """Read what may follow the sizes."""
    word, equals, value = part.partition("=")
    if word == "randint" and equals:
        low, colon, high = value.rpartition(":")
        _put(tensor, "fill", _scalar(word, text))
        if colon:
            _put(tensor, "low", _scalar(low, text))
        _put(tensor, "high", _scalar(high, text))
    elif word in ("dtype", "fill") and value:
        _put(tensor, word, _scalar(torch_word(value) if word == "dtype" else value, text))
    elif word in FILLS and not equals:
        _put(tensor, "fill", _scalar(word, text))
    elif is_dtype_word(word) and not equals:
        error = ParamtoolError(f"a dtype is written dtype={torch_word(word)}", tensor.place)
        raise error.mended(part, f"dtype={torch_word(word)}")
    elif not _SIZE.fullmatch(word):
        known = [*FILLS, "dtype", "fill"]
        hint = suggest(word, known, example) if word else example
        raise ParamtoolError(f"unknown '{shorten(part)}'", tensor.place, hint)


def _put(tensor: Mapping, key: str, node: Node) -> None:
    if any(known.raw == key for known, _ in tensor.entries):
        raise ParamtoolError(f"'{key}' appears twice", tensor.place)
    tensor.entries.append((_scalar(key, tensor.text), node))


def _scalar(word: str, text: Text) -> Scalar:
    node = read(Text(text.name, word, is_option=True)) if word else None
    return node if isinstance(node, Scalar) else Scalar(text, 1, 1, word, word)
