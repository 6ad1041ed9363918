"""Ask the installed torch for its catalogue: every public torch.nn class, and its dtypes."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from functools import cache

import torch
from torch import nn

from paramtool.language.catalog import Catalog
from paramtool.language.classes import LISTS, NAMED
from paramtool.language.signature import Argument, Signature
from paramtool.language.torch_source import LEFT_OUT

CONSTRUCTS = frozenset((*LISTS, *NAMED))
"""Classes that the language itself reads, so that they have no signature here."""

_UNANNOTATED = {  # or annotated with Any
    ("Transformer", "custom_encoder"): "module | None",
    ("Transformer", "custom_decoder"): "module | None",
    ("MultiheadAttention", "embed_dim"): "int",
    ("MultiheadAttention", "num_heads"): "int",
    ("MultiheadAttention", "kdim"): "int | None",
    ("MultiheadAttention", "vdim"): "int | None",
}
_UNANNOTATED_ANYWHERE = {"dtype": "dtype | None", "size_average": "bool | None", "reduce": "bool | None"}


@cache
def catalog() -> Catalog:
    """Return the catalogue of the torch that is imported."""
    modules = {name: _module(name).written() for name in module_names()}
    dtypes = sorted({str(value)[6:] for value in vars(torch).values() if isinstance(value, torch.dtype)})
    plain = tuple(name for name in dtypes if not name.startswith(("q", "bits")))
    # what torch.set_default_dtype takes; asked for by name, since asking by trial changes the default
    return Catalog(
        torch.__version__.partition("+")[0],
        modules,
        plain,
        ("bfloat16", "float16", "float32", "float64"),
    )


def module_names() -> list[str]:
    """Return the names of every public class of ``torch.nn`` that is a module."""
    return sorted(
        name
        for name, value in vars(nn).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and not name.startswith("_")
    )


def _module(name: str) -> Signature:
    if name in CONSTRUCTS:
        return Signature(name, ())
    cls = getattr(nn, name)
    if issubclass(cls, nn.RNNBase) and cls is not nn.RNNBase:
        return Signature(name, _recurrent(cls))
    if name == "NLLLoss2d":  # deprecated, and written with *args; it is NLLLoss
        return Signature(name, _module("NLLLoss").arguments)
    arguments = _arguments(name, cls.__init__)
    if name.startswith("Lazy"):  # several lazy classes lack the annotations of the class they become
        eager = _module(name.removeprefix("Lazy"))
        known = {argument.name: argument for argument in eager.arguments}
        arguments = tuple(known.get(argument.name, argument) for argument in arguments)
    return Signature(name, arguments)


def _recurrent(cls: type[nn.RNNBase]) -> tuple[Argument, ...]:
    """Arguments of RNN, LSTM and GRU, which are written ``*args, **kwargs`` around RNNBase."""
    base = [argument for argument in _arguments("RNNBase", nn.RNNBase.__init__) if argument.name != "mode"]
    if cls is not nn.LSTM:
        base = [argument for argument in base if argument.name != "proj_size"]
    if cls is nn.RNN:
        base.insert(3, Argument("nonlinearity", "'tanh' | 'relu'", "'tanh'"))
    return tuple(base)


def initializer(name: str) -> Signature:
    """Return the signature of ``torch.nn.init.<name>_`` without its tensor, which the table is held to."""
    arguments = _arguments(name, getattr(nn.init, f"{name}_"))
    return Signature(name, tuple(argument for argument in arguments if argument.name != "tensor"))


def _arguments(owner: str, function: typing.Callable[..., object]) -> tuple[Argument, ...]:
    hints = typing.get_type_hints(function)
    found = []
    shifted = False  # past an argument that is left out, positions would not be torch's
    for parameter in inspect.signature(function).parameters.values():
        name = parameter.name
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if name == "self" or variadic:
            continue
        if name in LEFT_OUT or name.startswith("_"):
            shifted = True
            continue
        default = None if parameter.default is parameter.empty else _default(parameter.default)
        written = (
            _UNANNOTATED.get((owner, name))
            or (_notation(hints[name]) if name in hints else _UNANNOTATED_ANYWHERE.get(name))
            or _type_of_default(parameter.default)
        )
        if default == "None" and "None" not in written and written != "any":
            written += " | None"
        keyword_only = shifted or parameter.kind is parameter.KEYWORD_ONLY
        found.append(Argument(name, written, default, keyword_only))
    return tuple(found)


def _default(value: object) -> str:
    return f"'{value.__name__}'" if inspect.isfunction(value) else repr(value)


def _type_of_default(value: object) -> str:
    return type(value).__name__ if isinstance(value, (bool, int, float, str)) else "any"


_NAMES = {int: "int", float: "float", bool: "bool", str: "str", type(None): "None", torch.Tensor: "tensor"}


def _notation(hint: object) -> str:
    """Write a Python annotation in the notation of specs."""
    if isinstance(hint, type) and hint in _NAMES:
        return _NAMES[hint]
    if isinstance(hint, type) and issubclass(hint, nn.Module):
        return "module"
    if isinstance(hint, typing.TypeVar):
        return _notation(hint.__bound__)
    if hint is torch.Size:
        return "[int]"
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        written = [_notation(each) for each in inner]
        if "any" in written:
            return "any"
        return " | ".join(dict.fromkeys(sorted(written, key=lambda word: word == "None")))
    if origin is typing.Literal:
        return " | ".join(f"'{word}'" for word in inner)
    if origin is collections.abc.Callable:
        return "module"  # the only callable that a spec can write
    if origin is tuple and Ellipsis not in inner:
        return f"({', '.join(_notation(each) for each in inner)})"
    if origin in (list, tuple, collections.abc.Sequence):
        return f"[{_notation(inner[0])}]"
    return "any"
