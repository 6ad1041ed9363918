"""Open anything that holds parameters, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from paramtool.api.arguments import check_named, check_seed, check_text, check_texts, check_type
from paramtool.errors import BadArgument
from paramtool.models.given import Openable, open_given
from paramtool.models.model import Model

if TYPE_CHECKING:
    from paramtool.models.built import BuiltModel


def open(
    model: Openable,
    *,
    name: str | None = None,
    set: Sequence[str] = (),
    arguments: Mapping[str, Any] | None = None,
    seed: int | None = None,
    weights: str | PathLike[str] | None = None,
    strip_prefix: str | Sequence[str] = (),
) -> Model:
    """Return the opened model; what it names is imported, built and read when first needed.

    Example:
        >>> import torch
        >>> model = open(torch.nn.Linear(4, 3), name="head")
        >>> model.listing().totals.parameters
        15

    Args:
        model: a spec, checkpoint, snapshot, ``package.module:object`` or ``file.py:object`` by its name; or
            a live module, a state_dict, a report of `inspect`, or a model that is open.
        name: what to call it in reports; by default its own name.
        set: overrides of a spec, each ``KEY=VALUE`` as after ``--set``.
        arguments: for the class or factory that a name in Python stands for.
        seed: of initial values; None for that of the spec, else 0.
        weights: a checkpoint to load into it.
        strip_prefix: taken off the names in `weights`, or in the model if none are given: ``module.``.

    Raises:
        BadArgument: if `model` is nothing that holds parameters, or an option is not for its kind.
        CannotOpen: if what is named cannot be read.
        BrokenSpec: with everything that is wrong in a spec.
    """
    check_text("name", name)
    check_texts("set", set)
    check_named("arguments", arguments)
    check_seed(seed)
    check_type("weights", weights, (str, PathLike, type(None)), "a path")
    found = open_given(model, name, set, arguments)
    if seed is not None:
        found = found.with_seed(seed)
    strip = (strip_prefix,) if isinstance(strip_prefix, str) else tuple(strip_prefix)
    if weights is not None:
        return found.with_weights(fspath(weights), strip)
    return found.without_prefix(strip) if strip else found


def live(model: Openable, name: str | None = None) -> BuiltModel:
    """Return the opened model, if it is or becomes a live module.

    Raises:
        BadArgument: for a state_dict, which is not a module.
        CannotAnswer: for a checkpoint or a snapshot.
    """
    if isinstance(model, Mapping):
        raise BadArgument("expected a module, got a state_dict", hint="load it into the module first")
    return open(model, name=name).check_buildable()
