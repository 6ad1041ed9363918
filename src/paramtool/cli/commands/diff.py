"""``paramtool diff``: in what one model differs from another, and whether its checkpoint would load."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from paramtool.cli import console, options
from paramtool.cli.chosen import open_chosen
from paramtool.cli.construction import Construction
from paramtool.cli.cores import available_cores
from paramtool.cli.listing import list_model
from paramtool.cli.quick_import import quick_import
from paramtool.cli.selecting import selected_by
from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.language.document import Spec
from paramtool.language.text import STDIN
from paramtool.models.open import Buildable, Model
from paramtool.records.parameter import Listing
from paramtool.render.formats import FOR_CI, FOR_PEOPLE, Format, folded, render

if TYPE_CHECKING:
    from paramtool.elements.elements import Elements
    from paramtool.operations.comparison.differences import Values


def diff(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            show_default=False,
            help="What was: a spec, a checkpoint, a snapshot, package.module:object, or - for stdin.",
        ),
    ],
    b: Annotated[
        str | None,
        typer.Argument(
            metavar="B",
            show_default=False,
            help="What is now, likewise.  Left out: $PARAMTOOL_MODEL, else model.yaml here.",
        ),
    ] = None,
    pattern: options.Pattern = None,
    exclude: options.Exclude = None,
    values: Annotated[
        bool,
        typer.Option(
            "--values", help="Compare the elements as well, those of a spec as init would leave them."
        ),
    ] = False,
    atol: Annotated[
        float | None,
        typer.Option("--atol", min=0, metavar="X", help="Absolute tolerance of --values; 0 if left out."),
    ] = None,
    rtol: Annotated[
        float | None,
        typer.Option("--rtol", min=0, metavar="X", help="Relative tolerance of --values; 0 if left out."),
    ] = None,
    weights: Annotated[
        str | None,
        options.weights("With --values: load a checkpoint into B; into A where B is no spec or object."),
    ] = None,
    all: options.All = False,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a value of B, a spec, by its dotted path."),
    ] = None,
    arg: Annotated[
        list[str] | None,
        typer.Option(
            "--arg", metavar="KEY=VALUE", help="An argument for B, a package.module:object, in YAML."
        ),
    ] = None,
    format: Annotated[Format, options.format_of("diff")] = Format.table,
    json: options.Json = False,
) -> None:
    """Show in what B differs from A, and whether A loads into B.

    A line a difference: what was added, removed, renamed, reshaped, retyped, frozen, tied or untied.
    Exit status 0 where they are the same, 1 where they differ.
    """
    from paramtool.operations.comparison.chosen_differences import choose_differences
    from paramtool.operations.comparison.differences import differences

    format = Format.json if json else format
    _check(a, b, values, atol, rtol, weights)
    selection = selected_by(pattern, exclude)
    model_a, model_b = open_chosen(a), open_chosen(b, set, arguments=arg)
    side_a, side_b = _sides(model_a, model_b, weights)
    listed_a, listed_b = side_a.listing(), side_b.listing()
    _tell_of_what_is_left_out(listed_a, listed_b)
    compared = _values(side_a, side_b, atol or 0.0, rtol or 0.0) if values else None
    report = differences(listed_a, listed_b, compared, absent_a=_absent(model_a), absent_b=_absent(model_b))
    if selection:
        names = [row.name for listed in (listed_a, listed_b) for row in listed.rows]
        report = choose_differences(report, names, selection)
    if format in FOR_CI and isinstance(model_b, Spec):
        from paramtool.cli.locating import located
        from paramtool.network.places import places

        report = located(report, model_b, places(model_b), whole=not all)
    is_folded = format in (*FOR_PEOPLE, *FOR_CI) and not all
    console.write(render(folded(report) if is_folded else report, format, console.screen()))
    if report.rows:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Side:
    """One of the two models; what is built of it is built once."""

    model: Model
    construction: Construction | None = None

    def listing(self) -> Listing:
        """Return what the model has, under its own name: a snapshot's listing has that of what it is of."""
        listed = self.construction.listing() if self.construction else list_model(self.model)
        return replace(listed, model=self.model.name)

    def elements(self) -> Elements:
        """Return what is stored or loaded, or what `init` would leave."""
        if self.construction is not None:
            with quick_import():
                from paramtool.tensors.elements import ModuleElements
            return ModuleElements(self.construction.filled.module)
        if isinstance(self.model, Checkpoint):
            from paramtool.elements.files import FileElements

            return FileElements(self.model)
        hint = "a spec, a checkpoint or package.module:object has"
        raise ParamtoolError(f"{self.model.name} is a snapshot and has no values to compare", hint=hint)


def _sides(a: Model, b: Model, weights: str | None) -> tuple[_Side, _Side]:
    """Return both models, with the weights in the one that they are for.

    Raises:
        ParamtoolError: for weights where neither model is built.
    """
    into_b = isinstance(b, Buildable)
    if weights is not None and not isinstance(a, Buildable) and not into_b:
        message = f"--weights loads into a spec or package.module:object; {a.name} and {b.name} are none"
        raise ParamtoolError(message)
    return _side(a, None if into_b else weights), _side(b, weights if into_b else None)


def _side(model: Model, weights: str | None) -> _Side:
    return _Side(model, Construction(model, weights)) if isinstance(model, Buildable) else _Side(model)


def _check(
    a: str, b: str | None, values: bool, atol: float | None, rtol: float | None, weights: str | None
) -> None:
    """Refuse what contradicts itself before anything is opened."""
    if a == b == STDIN:
        raise ParamtoolError("A and B are both -, and stdin is read once")
    if not values and (atol, rtol) != (None, None):
        option = "--rtol" if atol is None else "--atol"
        raise ParamtoolError(
            f"{option} is a tolerance of values, which are not compared", hint="add --values"
        )
    if not values and weights is not None:
        raise ParamtoolError("--weights gives values, which are not compared", hint="add --values")


def _tell_of_what_is_left_out(*listings: Listing) -> None:
    from paramtool.operations.comparison.differences import left_out

    for listed in listings:
        kinds = {"buffer": "buffers", "tensor": "plain tensors"}
        missing = " and ".join(kinds[kind] for kind in sorted(left_out(listed)))
        if missing:
            console.note(f"{listed.model} does not list its {missing}, so these are not compared")


def _values(a: _Side, b: _Side, atol: float, rtol: float) -> Values:
    from paramtool.elements.changed_values import ChangedValues

    return ChangedValues(a.elements(), b.elements(), atol=atol, rtol=rtol, jobs=available_cores())


def _absent(model: Model) -> list[str]:
    """Return the names that a file only maps to another: torch.save stores them, safetensors does not."""
    if not isinstance(model, Checkpoint):
        return []
    tensors = model.by_name
    return [name for name in model.tied if tensors[name].path.suffix == ".safetensors"]
