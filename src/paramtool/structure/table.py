"""The table of torch.nn: the members of each class, by its arguments."""

from __future__ import annotations

import inspect
from ast import literal_eval
from collections.abc import Mapping
from functools import cache
from typing import Any

from paramtool.language.catalog import shipped
from paramtool.structure.convolutions import CONVOLUTIONS
from paramtool.structure.facts import shipped_facts
from paramtool.structure.layer import Layer, Maker
from paramtool.structure.linear_layers import LINEAR_LAYERS
from paramtool.structure.losses import LOSSES
from paramtool.structure.modules import Module
from paramtool.structure.normalizations import NORMALIZATIONS
from paramtool.structure.plain_layers import PLAIN_LAYERS
from paramtool.structure.recurrent_layers import RECURRENT_LAYERS
from paramtool.structure.transformers import TRANSFORMERS
from paramtool.structure.unsure import Unsure, require

TABLE: Mapping[str, Maker] = {
    **LINEAR_LAYERS,
    **CONVOLUTIONS,
    **NORMALIZATIONS,
    **RECURRENT_LAYERS,
    **TRANSFORMERS,
    **LOSSES,
    **PLAIN_LAYERS,
}


_WRITTEN_LIKE = {"NonDynamicallyQuantizableLinear": "Linear"}
"""A class that is not public, which MultiheadAttention has as its out_proj."""


def make(kind: str, arguments: Mapping[str, Any], dtype: str) -> Module:
    """Return the module that torch.nn's class `kind` makes of `arguments`.

    Args:
        kind: the name of the class.
        arguments: by name; modules and tensors are made already.
        dtype: the default dtype, unless `arguments` has one.

    Raises:
        Unsure: if torch might refuse or warn.
    """
    maker = TABLE.get(kind)
    if maker is None:
        facts = shipped_facts()
        require(kind in facts.plain or kind in facts.taken, f"{kind} is not in the table")
        return Module(kind, facts.bases[kind])
    known, required, defaults = _binding(kind)
    require(required <= arguments.keys() <= known, f"other arguments than {kind} has")
    layer = Layer(kind, arguments.get("dtype") or dtype, make)
    try:
        maker(layer, **{name: arguments.get(name, default) for name, default in defaults.items()})
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise Unsure(f"{kind}: {error}") from error
    return layer.module


@cache
def _binding(kind: str) -> tuple[frozenset[str], frozenset[str], dict[str, Any]]:
    """Return all arguments of `kind`, the required ones, and the defaults of those that its maker takes."""
    signature = shipped().module(_WRITTEN_LIKE.get(kind, kind))
    assert signature is not None
    defaults = {each.name: literal_eval(each.default or "None") for each in signature.arguments}
    taken = inspect.signature(TABLE[kind]).parameters
    required = frozenset(each.name for each in signature.arguments if each.required)
    return frozenset(defaults), required, {name: value for name, value in defaults.items() if name in taken}
