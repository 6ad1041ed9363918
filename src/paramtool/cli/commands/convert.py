"""``paramtool convert``: reshape checkpoints without their model."""

from __future__ import annotations

from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from paramtool.cli import console, options, panels
from paramtool.cli.columns import Columns, with_columns
from paramtool.cli.conversion_options import RULES, with_rules
from paramtool.cli.output_options import read_target
from paramtool.errors import ParamtoolError, shorten
from paramtool.render.formats import FOLDED, Format, folded, render


class Prefer(str, Enum):
    """Whose tensor is taken."""

    first = "first"
    last = "last"


_rare: Any = partial(typer.Option, rich_help_panel=panels.rare(panels.OUTPUT))


@with_rules
def convert(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            show_default=False,
            help="Checkpoints: files, folders, or file.pt:key for a part of one.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Write x.safetensors, x.pt or a folder of files.",
            rich_help_panel=panels.OUTPUT,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", "-n", help="Show the plan, but write nothing.", rich_help_panel=panels.OUTPUT
        ),
    ] = False,
    prefer: Annotated[
        Prefer | None,
        typer.Option(
            "--prefer",
            help="Which of several sources wins where two have one name.",
            rich_help_panel=panels.rare(panels.OUTPUT),
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            metavar="KEY=VALUE",
            help="Add a text to the header.",
            rich_help_panel=panels.rare(panels.OUTPUT),
        ),
    ] = None,
    no_metadata: Annotated[
        bool,
        typer.Option(
            "--no-metadata",
            help="Leave out the texts in the headers of the sources.",
            rich_help_panel=panels.rare(panels.OUTPUT),
        ),
    ] = False,
    max_shard_size: Annotated[
        str | None,
        typer.Option(
            "--max-shard-size",
            metavar="SIZE",
            help="Write files of at most SIZE, e.g. 5GB, to a folder.",
            rich_help_panel=panels.OUTPUT,
        ),
    ] = None,
    force: Annotated[
        bool,
        _rare("--force", help="Replace PATH if it exists."),
    ] = False,
    digests: Annotated[
        bool,
        _rare("--digests", help="Add the SHA-256 of each tensor."),
    ] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="LOSS,…",
            help="Write nothing at any overflow, underflow or nan.",
            rich_help_panel=panels.OUTPUT,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        _rare("--jobs", "-j", min=1, metavar="N", help="Number of threads."),
    ] = None,
    columns: Columns = None,
    all: options.All = False,
    quiet: options.Quiet = False,  # noqa: ARG001 - its callback acts
    format: Annotated[Format, options.format_of("convert")] = Format.table,
    json: options.Json = False,
) -> None:
    """Select, rename, cast, merge and shard checkpoints.

    Rules act in the order typed.  They select (--pattern, --exclude, --name, --module), rename (--rename,
    --rename-from, --strip-prefix), cast (--dtype) and tie (--tie, --untie).  A rule that matches nothing is
    an error.  Everything written is read back and compared; PATH is there whole or not at all.
    """
    from paramtool.api.convert import convert as run

    format = Format.json if json else format
    if output is None and dry_run:
        force, jobs, size = False, None, None
    else:
        size = max_shard_size
    target = read_target(output, size, force, jobs, "convert")
    if not sources:
        hint = "e.g. paramtool convert a.pt -o b.safetensors"
        raise ParamtoolError("convert needs a checkpoint to read", hint=hint)
    if target is None and not dry_run:
        error = ParamtoolError("convert needs -o PATH", hint="or --dry-run to see the plan")
        *read, last = sources
        raise error.mended(last, ("-o", last)) if read and not Path(last).exists() else error
    report = run(
        sources,
        target,
        context.meta[RULES],
        prefer=prefer.value if prefer else None,
        metadata=_texts(metadata or ()),
        keep_metadata=not no_metadata,
        dry_run=dry_run,
        digests=digests,
        fail_on=_failures(fail_on),
        tell=console.note,
    )
    if format in FOLDED and not all:
        report = folded(report)
    console.write(render(with_columns(report, columns), format, console.screen()))


def _texts(written: list[str] | tuple[()]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in written:
        key, equals, text = each.partition("=")
        if not equals or not key:
            raise ParamtoolError(f"--metadata takes KEY=VALUE, got '{shorten(each)}'")
        if key in found:
            raise ParamtoolError(f"--metadata {shorten(key)} appears twice")
        found[key] = text
    return found


def _failures(written: str | None) -> list[str]:
    known = ("overflow", "underflow", "nan")
    words = [word.strip() for word in (written or "").split(",")] if written is not None else []
    for word in words:
        if word not in known:
            raise ParamtoolError(f"--fail-on takes {', '.join(known)}, got '{shorten(word)}'")
    return words
