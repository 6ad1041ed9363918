"""What a Python user gives as a model: a name, or what holds parameters already."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from paramtool.errors import BadArgument
from paramtool.models.model import Model
from paramtool.models.open import open_model
from paramtool.records.report import Report

if TYPE_CHECKING:
    from torch import Tensor, nn

    from paramtool.language.overrides import Override
    from paramtool.models.snapshot import SnapshotModel

Openable: TypeAlias = Union[
    str, "PathLike[str]", "nn.Module", "Mapping[str, Tensor]", Report[Any, Any], Model
]
"""A name as on the command line, a live module, a state_dict, what `inspect` returned, or an open model."""


def open_given(
    model: Openable, name: str | None, set: Sequence[str], arguments: Mapping[str, Any] | None
) -> Model:
    """Return the opened model; `name`, `set` and `arguments` are those of `paramtool.open`.

    Raises:
        BadArgument: if `model` is nothing that holds parameters, or an option is not for its kind.
        CannotOpen: if what is named cannot be read.
    """
    if isinstance(model, (str, PathLike)):
        found = open_model(fspath(model), parse_overrides(set), arguments or {})
        found.name = name or found.name
        return found
    if set or arguments:
        option = "set" if set else "arguments"
        raise BadArgument(f"{option} requires a model opened by name, got {_described(model)}")
    if isinstance(model, Model):
        return model
    if isinstance(model, Report):
        return _snapshot(model, name)
    if isinstance(model, Mapping):
        from paramtool.models.state import StateModel

        _check_state(model)
        return StateModel(model, name or "state_dict")
    torch = sys.modules.get("torch")  # a module is one of it, and brought it in
    if torch is not None and isinstance(model, torch.nn.Module):
        from paramtool.models.module import ModuleModel

        return ModuleModel(model, name)
    hint = "a path, package.module:object, a module or a state_dict"
    raise BadArgument(f"cannot open {_described(model)} as a model", hint=hint)


def parse_overrides(written: Sequence[str], side: str = "") -> tuple[Override, ...]:
    """Return what ``--set`` changes in a spec, each written ``KEY=VALUE``; `side` ends the option.

    Raises:
        ParamtoolError: where one is not, or VALUE is not YAML.
    """
    if not written:
        return ()
    from paramtool.language.overrides import Override

    return tuple(Override.parse(each, side) for each in written)


def _snapshot(report: Report[Any, Any], name: str | None) -> SnapshotModel:
    if report.command != "inspect":
        raise BadArgument(f"expected what inspect returns, got the report of {report.command}")
    from paramtool.models.snapshot import SnapshotModel

    return SnapshotModel(name or report.model or "report", report)


def _check_state(state: Mapping[Any, Any]) -> None:
    """Refuse a mapping with other keys than names."""
    other = next((key for key in state if not isinstance(key, str)), None)
    if other is not None:
        raise BadArgument(f"the names in a state_dict are strings, got {other!r}")


def _described(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"
