"""The rules that a command is given: those of the spec, of a recipe, and those typed, in this order."""

from __future__ import annotations

import typer

from paramtool.cli.rule_options import RULES, read_rules
from paramtool.models.open import Buildable, open_recipe, spec_catalog
from paramtool.records.rule import Rule


def all_rules(
    source: Buildable, recipe: str | None, context: typer.Context, *, weights: str | None
) -> list[Rule]:
    """Return every rule for `source`; its own are left out where `weights` stand in their place.

    Raises:
        ParamtoolError: where the recipe cannot be read, or a typed selector has no initializer.
        Problems: with everything that is wrong in the recipe, or in what was typed.
    """
    return [
        *(source.rules if weights is None else ()),
        *(open_recipe(recipe) if recipe is not None else ()),
        *read_rules(context.meta[RULES], spec_catalog()),
    ]
