"""``paramtool diff``: in what one model differs from another, and whether its checkpoint would load."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from paramtool.cli import console, options
from paramtool.cli.chosen import open_chosen
from paramtool.cli.listing import list_model
from paramtool.cli.quick_import import quick_import
from paramtool.cli.selecting import selected_by
from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.records.parameter import Listing
from paramtool.render.formats import FOR_CI, FOR_PEOPLE, Format, folded, render
from paramtool.sources.model import Model
from paramtool.sources.snapshot import Snapshot
from paramtool.sources.spec.document import Spec
from paramtool.sources.texts import STDIN

if TYPE_CHECKING:
    from paramtool.operations.comparison.differences import Values
    from paramtool.operations.elements.elements import Elements


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
    values: Annotated[bool, typer.Option("--values", help="Compare the elements as well.")] = False,
    atol: Annotated[
        float | None,
        typer.Option("--atol", min=0, metavar="X", help="Absolute tolerance of --values; 0 if left out."),
    ] = None,
    rtol: Annotated[
        float | None,
        typer.Option("--rtol", min=0, metavar="X", help="Relative tolerance of --values; 0 if left out."),
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
    _check(a, b, values, atol, rtol)
    selection = selected_by(pattern, exclude)
    model_a, model_b = open_chosen(a), open_chosen(b, set, arguments=arg)
    listed_a, listed_b = _listed(model_a), _listed(model_b)
    _tell_of_what_is_left_out(listed_a, listed_b)
    compared = _values(model_a, model_b, atol or 0.0, rtol or 0.0) if values else None
    report = differences(listed_a, listed_b, compared, absent_a=_absent(model_a), absent_b=_absent(model_b))
    if selection:
        names = [row.name for listed in (listed_a, listed_b) for row in listed.rows]
        report = choose_differences(report, names, selection)
    if format in FOR_CI and isinstance(model_b, Spec):
        from paramtool.cli.locating import located
        from paramtool.sources.build.places import places

        report = located(report, model_b, places(model_b), whole=not all)
    is_folded = format in (*FOR_PEOPLE, *FOR_CI) and not all
    console.write(render(folded(report) if is_folded else report, format, console.screen()))
    if report.rows:
        raise typer.Exit(1)


def _check(a: str, b: str | None, values: bool, atol: float | None, rtol: float | None) -> None:
    """Refuse what contradicts itself before anything is opened."""
    if a == b == STDIN:
        raise ParamtoolError("A and B are both -, and stdin is read once")
    if not values and (atol, rtol) != (None, None):
        option = "--rtol" if atol is None else "--atol"
        raise ParamtoolError(
            f"{option} is a tolerance of values, which are not compared", hint="add --values"
        )


def _listed(model: Model) -> Listing:
    """Return what the model has, under its own name: a snapshot's listing has that of what it is of."""
    return replace(list_model(model), model=model.name)


def _tell_of_what_is_left_out(*listings: Listing) -> None:
    from paramtool.operations.comparison.differences import left_out

    for listed in listings:
        kinds = {"buffer": "buffers", "tensor": "plain tensors"}
        missing = " and ".join(kinds[kind] for kind in sorted(left_out(listed)))
        if missing:
            console.note(f"{listed.model} does not list its {missing}, so these are not compared")


def _values(a: Model, b: Model, atol: float, rtol: float) -> Values:
    with quick_import():
        from paramtool.operations.comparison.changed_values import ChangedValues

    return ChangedValues(_elements(a), _elements(b), atol=atol, rtol=rtol)


def _absent(model: Model) -> list[str]:
    """Return the names that a file only maps to another: torch.save stores them, safetensors does not."""
    if not isinstance(model, Checkpoint):
        return []
    tensors = model.by_name
    return [name for name in model.tied if tensors[name].path.suffix == ".safetensors"]


def _elements(model: Model) -> Elements:
    from paramtool.operations.elements.elements import CheckpointElements, ModuleElements
    from paramtool.sources import networks

    if isinstance(model, Checkpoint):
        return CheckpointElements(model)
    if isinstance(model, Snapshot):
        hint = "a spec, a checkpoint or package.module:object has"
        raise ParamtoolError(f"{model.name} is a snapshot and has no values to compare", hint=hint)
    return ModuleElements(networks.values(model).module)
