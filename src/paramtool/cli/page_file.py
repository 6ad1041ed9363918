"""``--report FILE``: the report as a page for a browser, beside what goes to stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from paramtool.cli import console, panels, process_rank
from paramtool.cli.typed_line import value_instead
from paramtool.errors import ParamtoolError
from paramtool.records.report import Report
from paramtool.render.formats import Format, render

SUFFIXES = (".html", ".htm")
OPTIONS = ("--report", "-o")


def _check(context: typer.Context, file: str | None) -> str | None:
    """Refuse a FILE that cannot be written, or does not end in ``.html``, before any work is done.

    Raises:
        ParamtoolError: with what to type instead.
    """
    if file is None or context.resilient_parsing:
        return file
    path = Path(file)
    if not path.name.lower().endswith(SUFFIXES):
        format = next((each for each in Format if path.suffix.lower() == f".{each.value}"), None)
        page = str(path.with_suffix(".html")) if path.name else "report.html"
        hint = f"--format {format.value} > {file}" if format else value_instead(OPTIONS, file, page)
        raise ParamtoolError(
            f"--report writes HTML, but '{file}' does not end in .html", hint=hint or f"e.g. {page}"
        )
    from paramtool.files.writing.replacement import Replacement

    Replacement(path, force=True).check()
    return file


def _option(*names: str) -> Any:
    return typer.Option(
        *names,
        metavar="FILE.html",
        callback=_check,
        help="Also write an HTML page to FILE.html.",
        rich_help_panel=panels.rare(panels.OUTPUT),
    )


ReportFile = Annotated[str | None, _option(*OPTIONS)]
ReportFileOnly = Annotated[str | None, _option("--report")]
"""The option of `init`, whose ``-o`` is the file of its tensors."""


def deliver(
    report: Report[Any, Any],
    format: Format,
    file: str | None,
    shown: Report[Any, Any] | None = None,
    *,
    is_silent: bool = False,
) -> None:
    """Write the page to `file` if there is one, and the report to stdout; the page itself only once.

    Of several processes that MODEL connected, the first one writes.

    Args:
        report: with every row.
        format: of stdout.
        file: as it was typed.
        shown: what goes to stdout, if that is not `report`.
        is_silent: whether nothing does.

    Raises:
        ParamtoolError: if the file cannot be written; what was there is untouched then.
    """
    if file is not None and process_rank.is_first():
        from paramtool.files.writing.replacement import write_file

        write_file(Path(file), "".join(render(report, Format.html)).encode("ascii"), force=True)
    if not is_silent and (file is None or format is not Format.html):
        console.write(render(report if shown is None else shown, format, console.screen()))
