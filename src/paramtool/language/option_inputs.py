"""Read inputs from the command line: ``--input 2,4``, ``--input src=10,2,8,randn``."""

from __future__ import annotations

import re
from collections.abc import Sequence as Given

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.document import Inputs
from paramtool.language.dtype_words import torch_word
from paramtool.language.nodes import Mapping, Node, Scalar, Sequence
from paramtool.language.option_values import read_value
from paramtool.language.tensors import FILLS, read_tensor
from paramtool.language.tree import TensorNode
from paramtool.language.yaml_reader import read
from paramtool.place import Place, Text
from paramtool.suggestion import suggest

EXAMPLE = "e.g. 2,4 or 2,16,randint=1000"
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_SIZE = re.compile(r"[0-9]+")


def read_inputs(given: Given[str], dtypes: tuple[str, ...]) -> Inputs:
    """Return the inputs that were typed, one an option.

    Each is ``[NAME=]SIZE,…[,FILL][,dtype=DTYPE]`` with FILL one of rand (the default), randn, zeros,
    ones, arange, ``randint=HIGH``, ``randint=LOW:HIGH`` and ``fill=NUMBER``; or what a spec has under
    ``input``, such as ``{values: [[1.0]]}``.

    Raises:
        ParamtoolError: at the option that is none of this.
    """
    positional: list[TensorNode] = []
    named: dict[str, TensorNode] = {}
    for each in given:
        text = Text(f"--input {shorten(each)}", each, is_option=True)
        match = _NAMED.fullmatch(each)
        name, written = (match[1], match[2]) if match else (None, each)
        tensor = read_tensor("input", _node(written.strip(), text), dtypes)
        if name is None:
            positional.append(tensor)
        elif name in named:
            raise ParamtoolError(f"'{name}' appears twice", tensor.place)
        else:
            named[name] = tensor
    return Inputs(tuple(positional), named)


def _node(written: str, text: Text) -> Node:
    """Write what was typed as the node that a spec has for it."""
    if written[:1] in ("{", "["):
        return read_value(written, Place(text, 1, 1))
    parts = [part.strip() for part in written.split(",")]
    sizes = [part for part in parts if _SIZE.fullmatch(part)]
    tensor = Mapping(text, 1, 1)
    _put(tensor, "shape", Sequence(text, 1, 1, [_scalar(part, text) for part in sizes]))
    for part in parts[len(sizes) :]:
        _option(tensor, part, text)
    if parts[: len(sizes)] != sizes or not sizes:
        raise ParamtoolError("an input starts with its sizes", tensor.place, EXAMPLE)
    return tensor


def _option(tensor: Mapping, part: str, text: Text) -> None:
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
    elif not _SIZE.fullmatch(word):
        known = [*FILLS, "dtype", "fill"]
        hint = suggest(word, known, EXAMPLE) if word else EXAMPLE
        raise ParamtoolError(f"unknown '{shorten(part)}'", tensor.place, hint)


def _put(tensor: Mapping, key: str, node: Node) -> None:
    if any(known.raw == key for known, _ in tensor.entries):
        raise ParamtoolError(f"'{key}' appears twice", tensor.place)
    tensor.entries.append((_scalar(key, tensor.text), node))


def _scalar(word: str, text: Text) -> Scalar:
    node = read(Text(text.name, word, is_option=True)) if word else None
    return node if isinstance(node, Scalar) else Scalar(text, 1, 1, word, word)
