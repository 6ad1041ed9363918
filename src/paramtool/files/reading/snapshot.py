"""A snapshot: the JSON of ``inspect``, read back to the report that it was written from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.json_document import Document
from paramtool.files.reading.snapshot_fields import (
    FLOATS,
    field,
    is_count,
    is_count_or_none,
    is_counts_or_none,
    is_flag_or_none,
    is_number_or_none,
    is_text,
    is_text_or_none,
    is_words,
    mapping,
    shown,
)
from paramtool.files.reading.snapshot_origin import read_origin
from paramtool.records.parameter import (
    COLUMNS,
    DtypeSum,
    Listing,
    ParameterRow,
    ParameterTotals,
    Printed,
    listing_columns,
)
from paramtool.records.report import SCHEMA, Report
from paramtool.records.totals import totals

KINDS = ("parameter", "buffer", "tensor", "stored")

_NUMBERS = ("mean", "std", "min", "max", "norm")
_COUNTS = ("zeros", "nan", "inf")
_NOT_KEPT = "not in the snapshot, which keeps up to 1,000 elements"


def read_snapshot(document: Document) -> Listing:
    """Return the report that `document` was written from; its `model` is what was inspected then.

    Raises:
        ParamtoolError: for the first field that is missing or malformed, and where it is.
    """
    document.check()
    content = document.content
    where = document.name
    schema, command = content["schema"], content["command"]
    if type(schema) is not int or schema != SCHEMA:
        hint = "a newer paramtool wrote it" if isinstance(schema, int) and schema > SCHEMA else None
        raise ParamtoolError(
            f"{where} has the schema {shorten(repr(schema))}, and {SCHEMA} is known", hint=hint
        )
    if command != "inspect":
        raise ParamtoolError(
            f"{where} is the JSON of {shorten(repr(command))}, and a snapshot is that of inspect"
        )
    bases = mapping(content.get("bases", {}), f"{where}: 'bases'", is_words)
    modules = mapping(content.get("modules", {}), f"{where}: 'modules'", is_text)
    rows = _rows(content.get("rows"), where, {kind: tuple(words) for kind, words in bases.items()})
    first = content["rows"][0] if rows else {}
    columns = listing_columns("mean" in first, "values" in first)
    model = field(content, "model", is_text_or_none, "a text", where)
    sums = _totals(content.get("totals"), f"{where}: 'totals'", rows)
    return Report("inspect", model, tuple(rows), sums, columns, modules, origin=read_origin(content, where))


def _rows(given: Any, where: str, bases: Mapping[str, tuple[str, ...]]) -> list[ParameterRow]:
    if not isinstance(given, list):
        raise ParamtoolError(f"{where}: 'rows' must be a list, got {shown(given)}")
    rows = [_row(each, f"{where}: row {number}", bases) for number, each in enumerate(given, 1)]
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        if row.name in seen:
            raise ParamtoolError(f"{where}: row {number}: '{shorten(row.name)}' comes twice")
        seen.add(row.name)
    return rows


def _row(given: Any, where: str, bases: Mapping[str, tuple[str, ...]]) -> ParameterRow:
    if not isinstance(given, dict):
        raise ParamtoolError(f"{where} must be an object, got {shown(given)}")
    found: dict[str, Any] = {
        key: field(given, key, check, what, where)
        for key, (check, what) in _FIELDS.items()
        if key in given or key in COLUMNS
    }
    for key in ("shape", "histogram"):
        found[key] = None if found.get(key) is None else tuple(found[key])
    found.update({key: _number(found[key]) for key in _NUMBERS if key in found})
    if "values" in given:
        found["values"] = _values(given["values"], where)
    row = ParameterRow(**found, bases=bases.get(found["type"] or "", ()))
    if row.shape is not None and row.count == 1 and math.prod(row.shape) != row.numel:
        raise ParamtoolError(f"{where}: 'numel' is not that of the shape {list(row.shape)}")
    return row


def _number(value: str | float | None) -> float | None:
    return None if value is None else FLOATS[value] if isinstance(value, str) else float(value)


def _values(given: Any, where: str) -> Printed:
    if given is None:
        return Printed(None, _NOT_KEPT)
    try:
        return Printed(_nested(given), str(given))
    except (ValueError, RecursionError) as error:
        raise ParamtoolError(f"{where}: 'values' must be numbers in lists") from error


def _nested(given: Any) -> Any:
    if isinstance(given, list):
        return tuple(_nested(each) for each in given)
    if isinstance(given, str) and given in FLOATS:
        return FLOATS[given]
    if isinstance(given, (bool, int, float)):
        return given
    raise ValueError


def _totals(given: Any, where: str, rows: Sequence[ParameterRow]) -> ParameterTotals:
    """Return the totals; what older snapshots do not have follows from the rest."""
    if not isinstance(given, dict):
        raise ParamtoolError(f"{where} must be an object, got {shown(given)}")
    names = [each.name for each in fields(ParameterTotals) if each.name not in ("dtypes", "elements")]
    may_lack = ("trainable", "frozen")
    found = {
        name: field(given, name, is_count_or_none if name in may_lack else is_count, "a count", where)
        for name in names
    }
    elements = found["parameters"] if found["trainable"] is None else None
    if "elements" in given:
        elements = field(given, "elements", is_count_or_none, "a count", where)
    dtypes = _dtypes(given["dtypes"], f"{where}: 'dtypes'") if "dtypes" in given else totals(rows).dtypes
    return ParameterTotals(**found, elements=elements, dtypes=dtypes)


def _dtypes(given: Any, where: str) -> dict[str, DtypeSum]:
    sums = mapping(given, where, lambda each: isinstance(each, dict), "objects")
    return {
        dtype: DtypeSum(
            *(
                field(each, key, is_count, "a count", f"{where}: {shorten(dtype)}")
                for key in ("elements", "nbytes")
            )
        )
        for dtype, each in sums.items()
    }


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (is_text, "a text"),
    "type": (is_text_or_none, "a text"),
    "shape": (is_counts_or_none, "a list of sizes"),
    "dtype": (is_text_or_none, "a text"),
    "numel": (is_count_or_none, "a count"),
    "nbytes": (is_count_or_none, "a count"),
    "requires_grad": (is_flag_or_none, "true or false"),
    "tied_to": (is_text_or_none, "a text"),
    "kind": (KINDS.__contains__, f"one of {', '.join(KINDS)}"),
    "persistent": (is_flag_or_none, "true or false"),
    "count": (lambda value: is_count(value) and value > 0, "a count"),
    **dict.fromkeys(_NUMBERS, (is_number_or_none, "a number")),
    **dict.fromkeys(_COUNTS, (is_count_or_none, "a count")),
    "histogram": (is_counts_or_none, "a list of counts"),
}
