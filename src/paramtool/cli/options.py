"""Options that several commands share, each defined once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paramtool.cli import completion, console, panels
from paramtool.cli.columns import refuse_columnless
from paramtool.cli.panels import Panel
from paramtool.errors import ParamtoolError
from paramtool.language.limits import MAX_INTEGER
from paramtool.render.formats import Format, formats_of, lacks


def weights(help: str, panel: Panel = panels.MODEL) -> Any:
    """Return the option for a checkpoint to load, with what it does for a command."""
    return typer.Option("--weights", "-w", metavar="FILE", help=help, rich_help_panel=panel)


def depth(help: str, panel: Panel = panels.OUTPUT) -> Any:
    """Return the option for the parts of a name that are shown, with what becomes of deeper ones."""
    return typer.Option("--depth", "-d", min=1, metavar="N", help=help, rich_help_panel=panel)


def format_of(command: str) -> Any:
    """Return the option for the formats that `command` has."""
    known = formats_of(command)

    def agree(context: typer.Context, format: Format) -> Format:
        """Refuse ``--json`` beside another ``--format``; called for each, of which the later sees both."""
        if format not in known:
            raise lacks(command, format)
        _refuse_two(context, format, context.params.get("json", False))
        refuse_columnless(context.params.get("columns"), format)
        return format

    names = [each.value for each in known]
    return typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        show_default=False,
        callback=agree,
        rich_help_panel=panels.OUTPUT,
        autocompletion=lambda incomplete: [each for each in names if each.startswith(incomplete)],
        help=f"{', '.join(names[:-1])} or {names[-1]}.",
    )


def _agree_too(context: typer.Context, json: bool) -> bool:
    _refuse_two(context, context.params.get("format"), json)
    return json


def _refuse_two(context: typer.Context, format: Format | None, json: bool) -> None:
    source = context.get_parameter_source("format")
    is_typed = source is not None and source.name == "COMMANDLINE"
    if json and is_typed and format is not None and format is not Format.json:
        raise ParamtoolError(f"--json cannot be used with --format {format.value}")


def _silence(context: typer.Context, quiet: bool) -> bool:
    """Let the command write nothing but errors until it ends."""
    if quiet and not context.resilient_parsing:
        context.with_resource(console.silence())
    return quiet


Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        callback=_silence,
        help="Print nothing but errors: the exit status is the answer.",
        rich_help_panel=panels.rare(panels.OUTPUT),
    ),
]
Model = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        show_default=False,
        help="A spec, a checkpoint, a snapshot, a URL, package.module:object, file.py:object, or - for stdin."
        "  Default: $PARAMTOOL_MODEL, else model.yaml here.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        show_default=False,
        help="Specs, checkpoints, snapshots, URLs, module:object, file.py:object, or - for stdin.  Default:"
        " $PARAMTOOL_MODEL, else model.yaml here.",
    ),
]
Network = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        show_default=False,
        help="A spec, package.module:object, file.py:object, or - for stdin.  Default: $PARAMTOOL_MODEL,"
        " else model.yaml here.",
    ),
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="SIZE,…[,FILL]",
        rich_help_panel=panels.rare(panels.MODEL),
        help="Input that gives lazy modules their shapes, e.g. 2,4; repeat it for several.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a value in the spec by its dotted path.",
        rich_help_panel=panels.rare(panels.MODEL),
    ),
]
Arg = Annotated[
    list[str] | None,
    typer.Option(
        "--arg",
        metavar="KEY=VALUE",
        help="An argument for a class or function, as YAML; 0=VALUE or a list by position.",
        rich_help_panel=panels.rare(panels.MODEL),
    ),
]
Weights = Annotated[
    str | None, weights("Load a checkpoint into a spec or object.", panels.rare(panels.MODEL))
]
StripPrefix = Annotated[
    list[str] | None,
    typer.Option(
        "--strip-prefix",
        metavar="PREFIX",
        help="Take PREFIX off the names in --weights, or in MODEL if it is a checkpoint, e.g. module.",
        rich_help_panel=panels.rare(panels.MODEL),
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        callback=_agree_too,
        help="Short for --format json.",
        rich_help_panel=panels.rare(panels.OUTPUT),
    ),
]
Pattern = Annotated[
    list[str] | None,
    typer.Option(
        "--pattern",
        "-p",
        metavar="REGEX",
        help="Keep names that match REGEX.",
        rich_help_panel=panels.SELECT,
    ),
]
Name = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Keep the tensor of exactly this name.",
        rich_help_panel=panels.rare(panels.SELECT),
    ),
]
Module = Annotated[
    list[str] | None,
    typer.Option(
        "--module",
        "-m",
        metavar="PATH",
        autocompletion=completion.submodules,
        help="Keep what is in a module.",
        rich_help_panel=panels.SELECT,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="REGEX",
        help="Leave out names that match REGEX.",
        rich_help_panel=panels.rare(panels.SELECT),
    ),
]
Type = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        "-t",
        metavar="CLASS",
        autocompletion=completion.class_names,
        help="Keep tensors owned by modules of CLASS or a subclass.",
        rich_help_panel=panels.rare(panels.SELECT),
    ),
]
Plugin = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="FILE.py",
        help="Run a Python file and add its initializers.",
        rich_help_panel=panels.rare(panels.INITIALIZERS),
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="FILE",
        help="Rules from a file, applied before those on the command line.",
        rich_help_panel=panels.rare(panels.INITIALIZERS),
    ),
]
All = Annotated[
    bool,
    typer.Option(
        "--all",
        "-a",
        help="Show every numbered block, even if identical, instead of h.{0..11}.",
        rich_help_panel=panels.rare(panels.OUTPUT),
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        max=MAX_INTEGER,
        metavar="N",
        help="Seed for the initial values.  Default: the seed in the spec, else 0.",
        rich_help_panel=panels.rare(panels.MODEL),
    ),
]
