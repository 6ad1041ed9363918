"""A snapshot: the JSON of ``inspect``, read back to the report that it was written from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.json_document import Document
from paramtool.records.parameter import (
    COLUMNS,
    Listing,
    ParameterRow,
    ParameterTotals,
    Printed,
    listing_columns,
)
from paramtool.records.report import SCHEMA, Report

KINDS = ("parameter", "buffer", "tensor", "stored")

_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
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
            f"{where} has the schema {shorten(repr(schema))}, but only {SCHEMA} is known", hint=hint
        )
    if command != "inspect":
        raise ParamtoolError(
            f"{where} is the JSON of {shorten(repr(command))}, but a snapshot is the JSON of inspect"
        )
    bases = _mapping(content.get("bases", {}), f"{where}: 'bases'", _is_words)
    modules = _mapping(content.get("modules", {}), f"{where}: 'modules'", _is_text)
    rows = _rows(content.get("rows"), where, {kind: tuple(words) for kind, words in bases.items()})
    first = content["rows"][0] if rows else {}
    columns = listing_columns("mean" in first, "values" in first)
    model = _field(content, "model", _is_text_or_none, "a text", where)
    totals = _totals(content.get("totals"), f"{where}: 'totals'")
    return Report("inspect", model, tuple(rows), totals, columns, modules)


def _rows(given: Any, where: str, bases: Mapping[str, tuple[str, ...]]) -> list[ParameterRow]:
    if not isinstance(given, list):
        raise ParamtoolError(f"{where}: 'rows' must be a list, got {_shown(given)}")
    rows = [_row(each, f"{where}: row {number}", bases) for number, each in enumerate(given, 1)]
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        if row.name in seen:
            raise ParamtoolError(f"{where}: row {number}: '{shorten(row.name)}' appears twice")
        seen.add(row.name)
    return rows


def _row(given: Any, where: str, bases: Mapping[str, tuple[str, ...]]) -> ParameterRow:
    if not isinstance(given, dict):
        raise ParamtoolError(f"{where} must be an object, got {_shown(given)}")
    found: dict[str, Any] = {
        key: _field(given, key, check, what, where)
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
    return None if value is None else _FLOATS[value] if isinstance(value, str) else float(value)


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
    if isinstance(given, str) and given in _FLOATS:
        return _FLOATS[given]
    if isinstance(given, (bool, int, float)):
        return given
    raise ValueError


def _totals(given: Any, where: str) -> ParameterTotals:
    if not isinstance(given, dict):
        raise ParamtoolError(f"{where} must be an object, got {_shown(given)}")
    may_lack = ("trainable", "frozen")
    return ParameterTotals(
        **{
            each.name: _field(
                given, each.name, _is_count_or_none if each.name in may_lack else _is_count, "a count", where
            )
            for each in fields(ParameterTotals)
        }
    )


def _mapping(given: Any, where: str, check: Callable[[Any], bool]) -> dict[str, Any]:
    if not isinstance(given, dict) or not all(check(value) for value in given.values()):
        raise ParamtoolError(f"{where} must map names to class names, got {_shown(given)}")
    return given


def _field(given: Mapping[str, Any], key: str, check: Callable[[Any], bool], what: str, where: str) -> Any:
    if key not in given:
        raise ParamtoolError(f"{where} lacks '{key}'")
    if not check(given[key]):
        raise ParamtoolError(f"{where}: '{key}' must be {what}, got {_shown(given[key])}")
    return given[key]


def _shown(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", type(None): "nothing"}
    return kinds.get(type(value)) or shorten(repr(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_flag_or_none(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**100


def _is_count_or_none(value: Any) -> bool:
    return value is None or _is_count(value)


def _is_counts_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_count, value)))


def _is_number_or_none(value: Any) -> bool:
    if isinstance(value, str):
        return value in _FLOATS
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 10**308
    return value is None or isinstance(value, float)


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_text, "a text"),
    "type": (_is_text_or_none, "a text"),
    "shape": (_is_counts_or_none, "a list of sizes"),
    "dtype": (_is_text_or_none, "a text"),
    "numel": (_is_count_or_none, "a count"),
    "nbytes": (_is_count_or_none, "a count"),
    "requires_grad": (_is_flag_or_none, "true or false"),
    "tied_to": (_is_text_or_none, "a text"),
    "kind": (KINDS.__contains__, f"one of {', '.join(KINDS)}"),
    "persistent": (_is_flag_or_none, "true or false"),
    "count": (lambda value: _is_count(value) and value > 0, "a count"),
    **dict.fromkeys(_NUMBERS, (_is_number_or_none, "a number")),
    **dict.fromkeys(_COUNTS, (_is_count_or_none, "a count")),
    "histogram": (_is_counts_or_none, "a list of counts"),
}
