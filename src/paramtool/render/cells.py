"""One cell as text: for people, with units and signs, and for machines, as JSON has it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from paramtool.quantities import byte_size
from paramtool.records.column import Column, column_of
from paramtool.records.parameter import Printed
from paramtool.render.elements import inline
from paramtool.render.names import COMMAND, are_plain, shown, together

_JSON = json.JSONEncoder(allow_nan=False)

_SURROGATES = re.compile(r"\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|\\(ud[89a-f][0-9a-f]{2})")
"""An escaped backslash, a whole pair, or half of one, in JSON in ASCII."""

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.:-=+*#"


_FORMULA = re.compile(r"[\s\ufeff\u200b-\u200f\u2060]*[=+\-@＝＋－＠]|[\t\r\n]")
"""What a spreadsheet runs, or may once it has dropped the blanks before it."""


def for_people(row: Any, column: str, unicode: bool = True) -> str:
    """Return the cell of `row` as a table shows it."""
    return _cell(row, getattr(row, column), column_of(type(row), column), unicode)


def column_for_people(rows: Sequence[Any], column: str, unicode: bool = True) -> list[str]:
    """Return the cells of a column, as `for_people` writes each; what rows have in common is written once.

    Args:
        rows: of one type.
        column: its name.
        unicode: whether characters beyond ASCII come through.
    """
    values = list(map(attrgetter(column), rows))
    facts = column_of(type(rows[0]), column) if rows else Column()
    if facts.kind == "name" and set(map(type, values)) == {str} and are_plain(values):
        return values
    known: dict[int, str] = {}  # by identity: -0.0 equals 0.0 and True equals 1, but they look different
    cells = []
    for row, value in zip(rows, values, strict=True):
        cell = known.get(id(value))
        if cell is None:
            cell = _cell(row, value, facts, unicode)
            if value is not None:  # which depends on the row
                known[id(value)] = cell
        cells.append(cell)
    return cells


def _cell(row: Any, value: Any, facts: Column, unicode: bool) -> str:
    if value is None:
        return facts.unknown if row.count == 1 and not is_use(row) else ""
    if facts.kind == "path" and value == "":
        return "(model)"
    if facts.is_numeric and value in facts.usual:
        return ""
    if facts.kind == "bytes":
        return byte_size(value)
    if facts.kind == "times":
        return f"×{value}" if unicode else f"x{value}"
    if facts.kind == "histogram":
        return _bars(value, BARS if unicode else ASCII_BARS)
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, Printed):
        return inline(value) or ""
    if facts.kind == "names":
        return for_text(together(value), unicode)
    if isinstance(value, tuple):
        return str(list(value))
    return for_text(str(value), unicode)


def _number(value: bool | int | float) -> str:
    if isinstance(value, bool):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def is_use(row: Any) -> bool:
    """Tell whether `row` is a part of the row above it, with no shape of its own."""
    return getattr(row, "kind", None) == "use"


def for_text(text: str, unicode: bool) -> str:
    """Return untrusted text as a table shows it."""
    text = shown(text)
    return text if unicode else text.encode("ascii", "backslashreplace").decode()


def for_machines(value: Any) -> Any:
    """Return `value` as JSON can write it: NaN and infinities as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, (tuple, list)):
        return [for_machines(each) for each in value]
    if isinstance(value, dict):
        return {key: for_machines(each) for key, each in value.items()}
    if isinstance(value, Printed):
        return for_machines(value.values)
    return value


def json_text(value: Any) -> str:
    """Return one line of JSON, in ASCII, and without the ``##[`` that a CI runner obeys.

    Half of a surrogate pair, as for a byte of a file name that is not UTF-8, is written as in a table,
    since JSON has no character for it and strict readers refuse the whole document.
    """
    text = _JSON.encode(value)
    if "\\ud" in text:
        text = _SURROGATES.sub(_without_halves, text)
    return COMMAND.sub(r"\\u0023#", text) if "##" in text else text


def _without_halves(found: re.Match[str]) -> str:
    return f"\\\\{found[1]}" if found[1] else found[0]


def for_delimited(value: Any) -> str:
    """Return the cell of a CSV or TSV file; a text that a spreadsheet would run begins with ``'``."""
    if value is None:
        return ""
    if isinstance(value, str):
        text = shown(value)
        return f"'{text}" if _FORMULA.match(value) else text
    if type(value) is int:
        return str(value)
    plain = for_machines(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else json_text(plain)


def _bars(counts: tuple[int, ...], levels: str) -> str:
    highest = max(counts, default=0) or 1
    steps = len(levels) - 1
    return "".join(levels[-(-count * steps // highest)] for count in counts)
