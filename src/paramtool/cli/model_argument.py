"""The model that a command is about, and what its options do to it.

Its imports wait until a command runs, so that ``--help`` does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paramtool.cli import console
from paramtool.cli.typed_line import line

if TYPE_CHECKING:
    from paramtool.models.model import Model
    from paramtool.operations.listing.selection import Selection
    from paramtool.records.rule import Rule


def open_argument(
    model: str | None,
    overrides: Sequence[str] | None = None,
    seed: int | None = None,
    arguments: Sequence[str] | None = None,
    inputs: Sequence[str] | None = None,
    *,
    are_optional: bool = False,
    side: str = "",
    called: str = "MODEL",
) -> Model:
    """Return what MODEL names, with what ``--set``, ``--arg``, ``--seed`` and ``--input`` change in it.

    Inputs that `are_optional` are left out for a model that is never called, as one of two may be.

    Of two models, `side` is what the options of the first end in, and `called` what the argument is, for
    messages.

    Raises:
        CannotOpen: if there is none, or it cannot be read.
        ParamtoolError: if an option is wrong.
    """
    from paramtool.models.default import choose
    from paramtool.models.given import parse_overrides
    from paramtool.models.open import open_model, spec_catalog

    parsed = parse_overrides(overrides or (), side)
    choice = choose(model, called)
    if choice.reason:
        console.note(f"{called} is {choice.name}, from {choice.reason}")
    opened = open_model(choice.name, parsed, arguments or (), console.note, side)
    if inputs and (opened.is_buildable or not are_optional):
        from paramtool.language.option_inputs import read_inputs

        opened = opened.with_inputs(read_inputs(inputs, spec_catalog().dtypes))
    return opened if seed is None else opened.with_seed(seed)


def with_weights(opened: Model, weights: str | None, strip: Sequence[str] | None) -> Model:
    """Return the model with ``--weights`` loaded into it, with ``--strip-prefix`` taken off the names.

    Raises:
        ParamtoolError: if the model takes no weights, or no name has the prefix.
    """
    if weights is not None:
        return opened.with_weights(weights, strip or ())
    return opened.without_prefix(strip) if strip else opened


def tell_of_rules(opened: Model, later: str) -> None:
    """Point out that the values shown are those before the model's own rules.

    Args:
        opened: the model.
        later: the command that shows the values after them, with its verb.
    """
    if opened.rules:
        console.note(f"these are the values before init: in {opened.name}; {later} those after it")


def shown_by_init(
    model: str | None, overrides: Sequence[str] | None, seed: int | None, *, values: bool
) -> str:
    """Return the command that shows the values after the model's rules, or else their statistics."""
    words = ["init", *([] if model is None else [model]), *(["--values"] if values else [])]
    words += [word for each in overrides or () for word in ("--set", each)]
    return f"'{line([*words, *([] if seed is None else ['--seed', str(seed)])])}' shows"


def all_rules(model: Model, recipe: str | None, typed: Sequence[Rule]) -> list[Rule]:
    """Return the rules of the model, then those of a recipe, then those `typed`.

    Raises:
        CannotOpen: if the recipe cannot be read.
    """
    from paramtool.models.open import open_recipe

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
    from paramtool.operations.listing.selection import Selection
    from paramtool.patterns import compile_pattern

    return Selection(
        [compile_pattern(each, option="--pattern") for each in pattern or ()],
        [compile_pattern(each, option="--exclude") for each in exclude or ()],
        type or (),
        name or (),
        module or (),
    )
