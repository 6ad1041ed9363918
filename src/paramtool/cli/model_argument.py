"""The model that a command is about, and what its options do to it."""

from __future__ import annotations

from collections.abc import Sequence

from paramtool.cli import console
from paramtool.language.option_inputs import read_inputs
from paramtool.language.overrides import Override
from paramtool.models.default import choose
from paramtool.models.model import Model
from paramtool.models.open import open_model, open_recipe, spec_catalog
from paramtool.operations.listing.selection import Selection
from paramtool.patterns import compile_pattern
from paramtool.records.rule import Rule


def open_argument(
    model: str | None,
    overrides: Sequence[str] | None = None,
    seed: int | None = None,
    arguments: Sequence[str] | None = None,
    inputs: Sequence[str] | None = None,
    *,
    are_optional: bool = False,
) -> Model:
    """Return what MODEL names, with what ``--set``, ``--arg``, ``--seed`` and ``--input`` change in it.

    Inputs that `are_optional` are left out for a model that is never called, as one of two may be.

    Raises:
        CannotOpen: where there is none, or it cannot be read.
        ParamtoolError: where an option is wrong.
    """
    parsed = tuple(Override.parse(each) for each in overrides or ())
    choice = choose(model)
    if choice.reason:
        console.note(f"MODEL is {choice.name}, from {choice.reason}")
    opened = open_model(choice.name, parsed, arguments or (), tell=console.note)
    if inputs and (opened.is_buildable or not are_optional):
        opened = opened.with_inputs(read_inputs(inputs, spec_catalog().dtypes))
    return opened if seed is None else opened.with_seed(seed)


def all_rules(model: Model, recipe: str | None, typed: Sequence[Rule]) -> list[Rule]:
    """Return the rules of the model, then those of a recipe, then those `typed`.

    Raises:
        CannotOpen: where the recipe cannot be read.
    """
    return [*model.rules, *(open_recipe(recipe) if recipe is not None else ()), *typed]


def selected_by(
    pattern: Sequence[str] | None, exclude: Sequence[str] | None, type: Sequence[str] | None = None
) -> Selection:
    """Return the selection that ``--pattern``, ``--exclude`` and ``--type`` make.

    Raises:
        ParamtoolError: where a pattern is no regular expression.
    """
    return Selection(
        [compile_pattern(each, option="--pattern") for each in pattern or ()],
        [compile_pattern(each, option="--exclude") for each in exclude or ()],
        type or (),
    )
