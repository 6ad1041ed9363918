"""List the tensors of a checkpoint.  No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from operator import attrgetter

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.name_parts import modules_around
from paramtool.records.constructor import changed
from paramtool.records.contents import Origin
from paramtool.records.parameter import COLUMNS, Listing, ParameterRow
from paramtool.records.report import Report
from paramtool.records.totals import count_once, totals_of_counted
from paramtool.suggestion import hint_of_module

MOST_TEXTS = 1_000
"""Texts of the metadata that a report has."""

LONGEST_TEXT = 1_000
"""Characters of each: the metadata of a GGUF file has whole templates."""


def stored(checkpoint: Checkpoint) -> Listing:
    """List every named tensor of `checkpoint`, in its order; then the names that are tied to one.

    What a checkpoint does not say is None: the class of the module, and ``requires_grad``.
    """
    rows = _rows(checkpoint)
    if checkpoint.tied:
        rows = count_once(rows)
    return Report(
        "inspect", checkpoint.name, tuple(rows), totals_of_counted(rows), COLUMNS,
        modules=checkpoint.modules, origin=origin_of(checkpoint),
    )  # fmt: skip


def origin_of(checkpoint: Checkpoint) -> Origin:
    """Return the format of a checkpoint, and what is in it beside the tensors, in bounded size."""
    texts = ((key, text) for key, text in checkpoint.metadata.items() if key not in checkpoint.tied)
    metadata = {shorten(key, 200): shorten(text, LONGEST_TEXT) for key, text in islice(texts, MOST_TEXTS)}
    return Origin(checkpoint.format, checkpoint.contents, metadata)


def part_of(checkpoint: Checkpoint, module: str) -> Checkpoint:
    """Return what is below the dotted path `module`, with names relative to it.

    Raises:
        ParamtoolError: if nothing is.
    """
    part = checkpoint.below(module)
    if not part.tensors:
        raise no_module(module, checkpoint.by_name)
    return part


def no_module(module: str, names: Iterable[str]) -> ParamtoolError:
    """Return the error for a `module` that none of `names` is in."""
    known = list(names)
    paths = dict.fromkeys(path for name in known for path in modules_around(name) if path)
    return ParamtoolError(f"no module '{module}'", hint=hint_of_module(module, list(paths), known))


_FACTS = attrgetter("type", "shape", "dtype", "nbytes", "requires_grad", "kind", "persistent")


def _rows(checkpoint: Checkpoint) -> list[ParameterRow]:
    alike: dict[tuple[object, ...], ParameterRow] = {}  # a model has few shapes, and copies are quick
    last, first = None, None
    rows = []
    for name, each, own in checkpoint.described():
        if each is not last or first is None:
            last, key = each, _FACTS(each)
            first = alike.get(key)
            if first is None:
                first = alike[key] = _first_row(each)
        rows.append(changed(first, name=name) if name == own else changed(first, name=name, tied_to=own))
    return rows


def _first_row(each: Stored) -> ParameterRow:
    return ParameterRow(
        name=each.name,
        type=each.type,
        shape=each.shape,
        dtype=each.dtype,
        numel=math.prod(each.shape),
        nbytes=each.nbytes,
        requires_grad=each.requires_grad,
        kind="parameter" if each.kind == "stored" and each.requires_grad is not None else each.kind,
        persistent=each.persistent,
        bases=() if each.type is None else (each.type,),
    )
