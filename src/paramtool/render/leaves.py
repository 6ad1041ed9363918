"""What a tree shows for one record, and where the record is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import singledispatch
from typing import Any

from paramtool.quantities import byte_size, counted
from paramtool.records.checkpoints import CheckpointRow
from paramtool.records.column import column_of
from paramtool.records.contents import ContentRow
from paramtool.records.cost import CostRow
from paramtool.records.definitions import DefinitionRow
from paramtool.records.difference import SPECTRUM_COLUMNS, VALUE_COLUMNS, DifferenceRow
from paramtool.records.gradient import GradientRow
from paramtool.records.initialization import InitializationRow
from paramtool.records.models import ModelRow
from paramtool.records.parameter import STATISTICS_COLUMNS, ParameterRow
from paramtool.records.sharing import SharingRow
from paramtool.render.cells import for_people
from paramtool.render.names import parts_of, shown, together
from paramtool.render.tones import Toned

_BESIDE = {"tied": "with", "untied": "from"}
"""Changes that need a word before the other name."""


@singledispatch
def path_of(row: Any) -> Sequence[str]:
    """Return the branches from the root to the leaf of `row`: by default the parts of its name."""
    return parts_of(row.name)


@path_of.register
def _(row: GradientRow) -> Sequence[str]:
    """Return a place below its parameter for a use, and below the module for a call of one."""
    if row.kind == "use":
        return [*parts_of(row.name), f"{row.module or '(model)'}, call {row.call}"]
    if row.kind == "module":
        return [*(parts_of(row.name) if row.name else ()), f"call {row.call}"]
    return parts_of(row.name)


@path_of.register
def _(row: CostRow) -> Sequence[str]:
    """Return nothing for the model itself, which is the root."""
    return parts_of(row.name) if row.name else ()


@path_of.register
def _(row: ContentRow) -> Sequence[str]:
    """Return the name whole: a part is what one can name after a colon."""
    return [row.name]


@path_of.register
def _(row: CheckpointRow) -> Sequence[str]:
    """Return the file name, whose dots part nothing."""
    return [row.name]


@path_of.register(DefinitionRow)
@path_of.register(ModelRow)
def _(row: DefinitionRow | ModelRow) -> Sequence[str]:
    """Return the name, which is in no module."""
    return [row.name]


@path_of.register
def _(row: SharingRow) -> Sequence[str]:
    """Return a place in its group: the names of one tensor are often far apart in the modules."""
    return [f"group {row.group}", row.name]


@singledispatch
def leaf(row: Any, unicode: bool) -> Iterator[str]:
    """Yield what the tree says of `row` beside the last of its `path_of`; empty texts are passed over."""
    raise TypeError(f"no leaf for {type(row).__name__}, {unicode=}")


@leaf.register
def _(row: ParameterRow, unicode: bool) -> Iterator[str]:
    if row.shape is not None or row.count == 1:
        yield _cell(row, "shape")
    else:
        noun = "parameter" if row.kind == "parameter" else "element"
        names = counted(row.count, "name")
        yield f"{shown(row.type or 'module')} of {names}, {counted(row.numel or 0, noun)}"
    yield _cell(row, "dtype", unicode) if row.dtype else ""
    if not row.is_parameter:
        yield "buffer" if row.kind == "buffer" else "plain tensor"
    elif row.requires_grad is False:
        yield Toned("frozen", "notable")
    if row.shape is not None:
        yield _cell(row, "count", unicode)
    if row.tied_to:
        yield Toned(f"= {shown(row.tied_to)}", "link")
    if row.mean is not None or row.norm is not None:
        numbers = (_with_key(row, key, unicode) for key in STATISTICS_COLUMNS)
        yield Toned(f"({', '.join(each for each in numbers if each)})", "quiet")


@leaf.register
def _(row: CostRow, unicode: bool) -> Iterator[str]:
    yield _cell(row, "type", unicode)
    yield _cell(row, "output_shape", unicode)
    yield _cell(row, "count", unicode)
    yield "" if row.calls in (None, 1) else counted(row.calls, "call")
    yield counted(row.parameters, "parameter") if row.parameters else ""
    yield counted(row.macs, "MAC") if row.macs else ""
    yield f"saves {byte_size(row.activation_nbytes)}" if row.activation_nbytes else ""


@leaf.register
def _(row: InitializationRow, unicode: bool) -> Iterator[str]:
    """Yield the rule, then before → after of the moments, and what the law expects beside them."""
    yield _cell(row, "shape")
    yield _cell(row, "count", unicode)
    yield _cell(row, "rule", unicode)
    yield f"instead of {for_people(row, 'skipped', unicode)}" if row.skipped else ""
    for key in ("mean", "std"):
        before, after = (for_people(row, each, unicode) for each in (f"{key}_before", key))
        expected = for_people(row, f"expected_{key}", unicode)
        if after:
            yield f"{key} {f'{before} {_arrow(unicode)} ' if before else ''}{after}"
        if expected and (key == "std" or not after):
            yield f"(expected {expected})" if after else f"expected {key} {expected}"
    yield _cell(row, "note", unicode)


@leaf.register
def _(row: ContentRow, unicode: bool) -> Iterator[str]:
    yield _cell(row, "type", unicode) if row.kind == "part" else "metadata"
    if row.tensors:
        yield counted(row.tensors, "tensor")
    yield _cell(row, "nbytes", unicode) if row.nbytes else ""
    yield f"= {for_people(row, 'value', unicode)}" if row.value is not None else ""


@leaf.register
def _(row: CheckpointRow, unicode: bool) -> Iterator[str]:
    if row.format is not None:
        yield _cell(row, "format", unicode)
        yield f"{counted(row.elements or 0, 'element')} in {counted(row.tensors or 0, 'tensor')}"
        yield _cell(row, "nbytes", unicode)
    yield _cell(row, "note", unicode)


@leaf.register
def _(row: ModelRow, unicode: bool) -> Iterator[str]:
    if row.error is None:
        yield for_people(row, "format", unicode)
        yield f"{counted(row.numel or 0, 'element')} in {counted(row.tensors or 0, 'tensor')}"
        for column in ("nbytes", "dtypes", "beside"):
            yield for_people(row, column, unicode)
    yield for_people(row, "error", unicode)


@leaf.register
def _(row: DefinitionRow, unicode: bool) -> Iterator[str]:
    yield for_people(row, "kind", unicode)
    yield for_people(row, "command", unicode)


@leaf.register
def _(row: SharingRow, unicode: bool) -> Iterator[str]:
    yield _cell(row, "count", unicode)
    yield _cell(row, "type", unicode)
    yield "" if row.kind in ("parameter", "stored") else row.kind
    if row.sharing != "tied":
        yield from (_cell(row, key, unicode) for key in ("shape", "dtype"))
    if row.start is not None:
        dash = "–" if unicode else "-"
        yield f"bytes {for_people(row, 'start')}{dash}{for_people(row, 'stop')}"
    yield (
        Toned(f"= {for_people(row, 'tied_to', unicode)}", "link")
        if row.tied_to and row.sharing != "tied"
        else ""
    )
    yield f"one module with {for_people(row, 'module', unicode)}" if row.module else ""
    yield _cell(row, "note", unicode)


@leaf.register
def _(row: GradientRow, unicode: bool) -> Iterator[str]:
    if row.kind == "module":
        yield _cell(row, "shape")
        yield from (_with_key(row, key, unicode) for key in ("output_std", "gradient_std"))
        return
    if row.kind == "use":
        yield _cell(row, "operation", unicode)
        yield from (_with_key(row, key, unicode) for key in ("share", "cosine"))
    else:
        yield _cell(row, "shape")
        yield Toned(f"tied: {shown(together(row.tied))}", "link") if row.tied else ""
        yield Toned("frozen", "notable") if row.requires_grad is False else ""
        yield "" if row.uses is None else counted(row.uses, "use")
    yield from (_with_key(row, key, unicode) for key in ("norm", "abs_max", "ratio"))
    yield _cell(row, "verdict", unicode)
    yield _cell(row, "gradient", unicode)


@leaf.register
def _(row: DifferenceRow, unicode: bool) -> Iterator[str]:
    yield _cell(row, "count", unicode)
    was, now = for_people(row, "was", unicode), for_people(row, "now", unicode)
    change = f"{was} {_arrow(unicode)} {now}" if was and now else was or now
    if row.change in _BESIDE:
        change = f"{_BESIDE[row.change]} {change}"
    elif row.change == "renamed":  # the old name is the branch that this stands on
        change = f"{_arrow(unicode)} {now}"
    tone = column_of(DifferenceRow, "change").tone_of(row.change)
    yield Toned(f"{row.change} {change}".rstrip(), tone)
    yield Toned(f"= {for_people(row, 'tied_to', unicode)}", "link") if row.tied_to else ""
    yield f"({for_people(row, 'because', unicode)})" if row.because else ""
    for key in (*VALUE_COLUMNS, *SPECTRUM_COLUMNS):
        yield _with_key(row, key, unicode)


def _cell(row: Any, key: str, unicode: bool = True) -> str:
    text = for_people(row, key, unicode)
    return Toned(text, column_of(type(row), key).tone_of(text))


def _with_key(row: Any, key: str, unicode: bool) -> str:
    return "" if getattr(row, key) is None else f"{key} {for_people(row, key, unicode)}"


def _arrow(unicode: bool) -> str:
    return "→" if unicode else "->"
