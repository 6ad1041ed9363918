"""The formats for machines: json, jsonl, csv and tsv.  Every row whole, one after the other."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from paramtool.records.contents import PART_COLUMNS, Origin
from paramtool.records.parameter import KIND_COLUMNS, ParameterTotals
from paramtool.records.report import SCHEMA, Report
from paramtool.render.cells import for_delimited, for_machines, json_text


def json_document(report: Report[Any, Any]) -> Iterator[str]:
    """Yield one JSON object, one line per row, so that two of them compare line by line.

    That of `inspect` is a snapshot: it has all that is known of each row, unless columns were chosen.
    """
    command, model = json_text(report.command), json_text(report.model)
    yield f'{{"schema": {SCHEMA}, "command": {command}, "model": {model},\n'
    yield '"rows": ['
    separator = "\n"
    is_snapshot = isinstance(report.totals, ParameterTotals)
    for line in json_lines(_complete(report) if is_snapshot and not report.is_chosen else report):
        yield separator + line.rstrip("\n")
        separator = ",\n"
    yield f'\n],\n"totals": {json_text(for_machines(asdict(report.totals)))}'
    if report.others is not None:
        yield f',\n"others": {json_text(asdict(report.others))}'
    if is_snapshot:
        bases = {row.type: row.bases for row in report.rows if row.type and row.bases}
        yield f',\n"modules": {json_text(dict(report.modules))},\n"bases": {json_text(bases)}'
        yield from _origin(report.origin or Origin(""))
    yield "}\n"


def _origin(origin: Origin) -> Iterator[str]:
    contents = [{column: getattr(row, column) for column in PART_COLUMNS} for row in origin.contents]
    yield f',\n"format": {json_text(origin.format or None)},\n"contents": {json_text(contents)}'
    yield f',\n"metadata": {json_text(dict(origin.metadata))}'


def _complete(report: Report[Any, Any]) -> Report[Any, Any]:
    more = [column for column in KIND_COLUMNS if column not in report.columns]
    if "count" not in report.columns and any(row.count > 1 for row in report.rows):
        more.append("count")
    return replace(report, columns=(*report.columns, *more))


def json_lines(report: Report[Any, Any]) -> Iterator[str]:
    """Yield a JSON object for each row."""
    for row in report.rows:
        yield json_text({key: for_machines(value) for key, value in report.cells(row).items()}) + "\n"


def delimited(report: Report[Any, Any], delimiter: str) -> Iterator[str]:
    """Yield a header and one line per row; lists are written as JSON, a missing value as nothing."""
    line = io.StringIO()
    if delimiter == ",":
        writer = csv.writer(line, lineterminator="\n")
    else:  # a shown name has no tab, so nothing needs quotes
        writer = csv.writer(line, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
    for row in (None, *report.rows):
        cells = report.columns if row is None else map(for_delimited, report.cells(row).values())
        writer.writerow(list(cells))
        yield line.getvalue()
        line.seek(0)
        line.truncate()
