"""``paramtool init``: initialize parameters by rules."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Annotated

import typer

from paramtool.api.initialize import initialize
from paramtool.api.target import Target
from paramtool.cli import console, options, panels
from paramtool.cli.columns import Columns, split_columns, with_columns
from paramtool.cli.model_argument import all_rules, open_argument, with_weights
from paramtool.cli.output_options import check_suffix, note_of_file, read_target
from paramtool.cli.page_file import ReportFileOnly, deliver
from paramtool.cli.rule_hints import mend_dimensions
from paramtool.cli.rule_options import with_rule_options
from paramtool.cli.typed_rules import RULES, read_rules
from paramtool.errors import ParamtoolError
from paramtool.initializers.registry import offers
from paramtool.models.open import spec_catalog
from paramtool.models.torch_import import torch_import
from paramtool.records.initialization import NORM, Initialization
from paramtool.render.formats import FOLDED, Format, folded


class Rng(str, Enum):
    """Where random numbers come from."""

    streams = "streams"
    torch = "torch"


@with_rule_options
def init(
    context: typer.Context,
    model: options.Network = None,
    recipe: options.Recipe = None,
    plugin: options.Plugin = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", "-n", help="Show the plan, but fill nothing.", rich_help_panel=panels.OUTPUT
        ),
    ] = False,
    seed: options.Seed = None,
    rng: Annotated[
        Rng,
        typer.Option(
            "--rng",
            help="One random stream per name, or torch's global generator, as in a plain loop.",
            rich_help_panel=panels.rare(panels.INITIALIZERS),
        ),
    ] = Rng.streams,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Write safetensors to PATH, block by block.",
            rich_help_panel=panels.OUTPUT,
        ),
    ] = None,
    max_shard_size: Annotated[
        str | None,
        typer.Option(
            "--max-shard-size",
            metavar="SIZE",
            help="With -o: make PATH a folder of files of at most SIZE, e.g. 5GB.",
            rich_help_panel=panels.rare(panels.OUTPUT),
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="K/N",
            help="With --max-shard-size: write only this process's files, e.g. 3/16; or torchrun.",
            rich_help_panel=panels.rare(panels.OUTPUT),
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="With -o: replace PATH if it exists.", rich_help_panel=panels.rare(panels.OUTPUT)
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="With -o: number of threads; it does not change the values.",
            rich_help_panel=panels.rare(panels.OUTPUT),
        ),
    ] = None,
    values: Annotated[
        bool,
        typer.Option(
            "--values", help="Print the values afterwards, as torch does.", rich_help_panel=panels.OUTPUT
        ),
    ] = False,
    columns: Columns = None,
    all: options.All = False,
    weights: options.Weights = None,
    strip_prefix: options.StripPrefix = None,
    set: options.Set = None,
    arg: options.Arg = None,
    input: options.Input = None,
    report_file: ReportFileOnly = None,
    quiet: options.Quiet = False,  # noqa: ARG001 - its callback acts
    format: Annotated[Format, options.format_of("init")] = Format.table,
    json: options.Json = False,
) -> None:
    """Initialize the parameters of MODEL with rules.

    Rules run in order: the spec's init, then --recipe, then those on the command line.  A rule is a
    selector and the initializer after it: --pattern weight --normal 0.01 --pattern bias --zeros is
    two rules; --pattern . selects every parameter.  --weights replaces the spec's init, and without
    any other rule --output writes the weights as MODEL has them; convert needs no MODEL.
    """
    format = Format.json if json else format
    values = values or "values" in split_columns(columns)
    target = read_target(output, max_shard_size, force, jobs, part=part)
    check_suffix(output, max_shard_size)
    _check_values(values, output, dry_run)
    if plugin:
        with torch_import():
            context.with_resource(offers.from_files(plugin))
    opened = open_argument(model, set, seed, arg, input)
    opened.check_buildable()
    opened = with_weights(opened, weights, strip_prefix)
    rules = all_rules(opened, recipe, read_rules(context.meta[RULES], spec_catalog()))
    if not rules and not (weights is not None and target):
        hint = "e.g. --pattern weight --normal 0.01, or init: in the spec"
        raise ParamtoolError("no rules", hint="-o FILE writes the weights as they are" if weights else hint)
    try:
        report = initialize(
            opened,
            rules,
            rng=rng.value,
            dry_run=dry_run,
            values=values,
            digests=format is Format.json or "sha256" in split_columns(columns),
            output=target,
        )
    except ParamtoolError as error:
        mend_dimensions(error, opened, context.meta[RULES])
        raise
    _warn_of_norms(report)
    whole = with_columns(report, columns)
    if format in FOLDED and not all:
        report = folded(report)
    if not report.rows and format is Format.table:
        report = replace(report, columns=())  # the sentence says all
    deliver(whole, format, report_file, with_columns(report, columns))
    if not dry_run:
        _tell_of_file(target)


def _check_values(values: bool, output: str | None, dry_run: bool) -> None:
    if values and output:
        raise ParamtoolError("--values cannot be used with --output, which keeps no values in memory")
    if values and dry_run:
        raise ParamtoolError("--values cannot be used with --dry-run, which fills nothing")


def _tell_of_file(target: Target | None) -> None:
    note = note_of_file(target) if target else "nothing was saved; -o FILE.safetensors saves the values"
    if note is not None:
        console.note(note)


def _warn_of_norms(report: Initialization) -> None:
    """Point out norm layers that a pattern fills with values that are not constant."""
    caught = [row for row in report.rows if NORM in (row.note or "") and row.expected_std != 0]
    if len(caught) == 1:
        console.note(f"{caught[0].name} is in a norm layer and gets {caught[0].rule}; --exclude skips it")
    elif caught:
        first, more = caught[0], len(caught) - 1
        console.note(
            f"{first.name} and {more:,} more are in norm layers and get {first.rule}; --exclude skips them"
        )
