"""The model that a command is about, and what its options do to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paramtool.cli import console
from paramtool.cli.progress import progress_bar
from paramtool.models.default import choose
from paramtool.models.given import parse_overrides
from paramtool.models.open import open_model, open_recipe, spec_catalog
from paramtool.operations.listing.selection import Selection
from paramtool.patterns import compile_pattern

if TYPE_CHECKING:
    from paramtool.models.model import Model
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
        CannotOpen: if there is none, or it cannot be read.
        ParamtoolError: if an option is wrong.
    """
    parsed = parse_overrides(overrides or ())
    choice = choose(model)
    if choice.reason:
        console.note(f"MODEL is {choice.name}, from {choice.reason}")
    opened = open_model(choice.name, parsed, arguments or (), tell=console.note)
    if inputs and (opened.is_buildable or not are_optional):
        from paramtool.language.option_inputs import read_inputs

        opened = opened.with_inputs(read_inputs(inputs, spec_catalog().dtypes))
    opened = opened if seed is None else opened.with_seed(seed)
    opened.progress = progress_bar
    return opened


def all_rules(model: Model, recipe: str | None, typed: Sequence[Rule]) -> list[Rule]:
    """Return the rules of the model, then those of a recipe, then those `typed`.

    Raises:
        CannotOpen: if the recipe cannot be read.
    """
    return [*model.rules, *(open_recipe(recipe) if recipe is not None else ()), *typed]


def selected_by(
    pattern: Sequence[str] | None,
    exclude: Sequence[str] | None,
    type: Sequence[str] | None = None,
    name: Sequence[str] | None = None,
    module: Sequence[str] | None = None,
) -> Selection:
    """Return the selection that ``--pattern``, ``--exclude``, ``--type``, ``--name`` and ``--module`` make.

    Raises:
        ParamtoolError: if a pattern is not a regular expression.
    """
    return Selection(
        [compile_pattern(each, option="--pattern") for each in pattern or ()],
        [compile_pattern(each, option="--exclude") for each in exclude or ()],
        type or (),
        name or (),
        module or (),
    )
