"""The model that a command is about: named, or chosen and then told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paramtool.cli import console
from paramtool.errors import ParamtoolError
from paramtool.language.document import Spec
from paramtool.language.overrides import Override
from paramtool.models.default import choose
from paramtool.models.open import Model, open_model
from paramtool.models.python_object import PythonObject


def open_chosen(
    model: str | None,
    overrides: Sequence[str] | None = None,
    seed: int | None = None,
    arguments: Sequence[str] | None = None,
) -> Model:
    """Return what MODEL names, with what ``--set``, ``--arg`` and ``--seed`` change in it.

    Raises:
        ParamtoolError: where there is none, or it or an option is wrong.
    """
    parsed = tuple(Override.parse(each) for each in overrides or ())
    choice = choose(model)
    if choice.reason:
        console.note(f"MODEL is {choice.name}, from {choice.reason}")
    opened = open_model(choice.name, parsed, arguments or ())
    if seed is None:
        return opened
    if not isinstance(opened, (Spec, PythonObject)):
        raise ParamtoolError(f"--seed draws initial values, and {opened.name} has values of its own")
    return replace(opened, seed=seed)
