"""Add up what a forward pass computes and keeps: ``paramtool inspect --cost``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paramtool.api.arguments import check_named, check_text
from paramtool.api.open import live
from paramtool.errors import BadArgument, shorten
from paramtool.language.dtype_words import suggest_dtype, torch_word
from paramtool.models.given import Openable
from paramtool.records.cost import USUAL, Costs, Optimizer
from paramtool.suggestion import suggest


def cost(
    model: Openable,
    inputs: Sequence[Any] | None = None,
    named: Mapping[str, Any] | None = None,
    *,
    optimizers: Sequence[str] | None = None,
    dtype: str | None = None,
    name: str | None = None,
) -> Costs:
    """Return the output shape, operations and saved activations of each module, and the memory they need.

    The model runs on the meta device, where nothing has values: a model of 70 billion parameters takes no
    memory.  Where its forward depends on values, it runs on the CPU, if it has less than 1 GB.

    Example:
        >>> import torch
        >>> report = cost(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()), [torch.ones(2, 4)])
        >>> [(row.name, row.output_shape, row.macs, row.activation_nbytes) for row in report]
        [('', (2, 3), 0, 0), ('0', (2, 3), 24, 32), ('1', (2, 3), 0, 24)]

    Args:
        model: a spec, ``package.module:object``, a module or an open model.
        inputs, named: what it is called with; left out, the input that comes with the model.
        optimizers: names of `paramtool.records.cost.Optimizer`; None for adamw, sgd and adafactor.
        dtype: to cast parameters, buffers and inputs to first, as ``.to(dtype)`` does; None to leave them.
        name: what to call the model in the report.

    Raises:
        BadArgument: for an unknown optimizer or dtype, or a state_dict in place of a module.
        CannotAnswer: for a model that is not, and does not become, a module.
        UserCodeFailed: if the forward raises.
        ParamtoolError: if there is nothing to run.
    """
    check_named("named", named)
    check_text("dtype", dtype)
    if inputs is not None and not isinstance(inputs, (list, tuple)):
        raise BadArgument(f"inputs is a list or tuple, got {type(inputs).__name__}", hint="e.g. [x]")
    chosen = USUAL if optimizers is None else tuple(map(_optimizer, optimizers))
    kind = None if dtype is None else _dtype(dtype)
    given = None if inputs is None and not named else (tuple(inputs or ()), dict(named or {}))
    return live(model, name).cost(given=given, optimizers=chosen, dtype=kind)


def _optimizer(name: str) -> Optimizer:
    known = [each.value for each in Optimizer]
    if name not in known:
        hint = suggest(str(name), known, f"use one of {', '.join(known)}")
        raise BadArgument(f"unknown optimizer '{shorten(str(name))}'", hint=hint)
    return Optimizer(name)


FLOATING = ("float64", "float32", "bfloat16", "float16")
"""The dtypes that a model computes in."""


def _dtype(word: str) -> str:
    found = torch_word(word)
    if found not in FLOATING:
        hint = suggest_dtype(word, FLOATING, f"use one of {', '.join(FLOATING)}")
        raise BadArgument(f"cannot compute in the dtype '{shorten(word)}'", hint=hint)
    return found
