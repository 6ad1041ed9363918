"""What a snapshot of a checkpoint says of the files that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paramtool.errors import ParamtoolError
from paramtool.files.reading.snapshot_fields import (
    field,
    is_count,
    is_text,
    is_text_or_none,
    mapping,
    shown,
)
from paramtool.records.contents import ContentRow, Origin

_FIELDS = {
    "name": (is_text, "a text"),
    "type": (is_text, "a text"),
    "tensors": (is_count, "a count"),
    "nbytes": (is_count, "a count"),
    "value": (is_text_or_none, "a text"),
}


def read_origin(content: Mapping[str, Any], where: str) -> Origin | None:
    """Return the origin of a snapshot; None where its model was no checkpoint, or it is an older one.

    Raises:
        ParamtoolError: for the first field that is malformed.
    """
    if content.get("format") is None:
        return None
    format = field(content, "format", is_text, "a text", where)
    given = content.get("contents", [])
    if not isinstance(given, list):
        raise ParamtoolError(f"{where}: 'contents' must be a list, got {shown(given)}")
    rows = tuple(_row(each, f"{where}: part {number}") for number, each in enumerate(given, 1))
    metadata = mapping(content.get("metadata", {}), f"{where}: 'metadata'", is_text, "texts")
    return Origin(format, rows, metadata)


def _row(given: Any, where: str) -> ContentRow:
    if not isinstance(given, dict):
        raise ParamtoolError(f"{where} must be an object, got {shown(given)}")
    return ContentRow(**{key: field(given, key, *check, where) for key, check in _FIELDS.items()})
