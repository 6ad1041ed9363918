"""List the named parameters of a module, which of them are tied, and what only looks like one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.elements.measurement import statistics_by_name
from paramtool.elements.tensor_text import printed_elements
from paramtool.records.parameter import (
    Listing,
    ParameterRow,
    listing_columns,
)
from paramtool.records.report import Report
from paramtool.records.totals import count_once, totals
from paramtool.tensors.elements import ModuleElements
from paramtool.tensors.extents import extent_of
from paramtool.tensors.kinds import nbytes_of, shape_of
from paramtool.tensors.named_tensors import (
    NamedTensor,
    check_values,
    class_of,
    dtype_name,
    module_types,
    named_tensors,
)
from paramtool.tensors.printed import printed
from paramtool.tensors.sharded_elements import ShardedElements
from paramtool.tensors.sharded_statistics import sharded_statistics
from paramtool.tensors.sharding import has_sharded, is_sharded, local_of


def parameters(
    module: nn.Module,
    *,
    stats: bool = False,
    values: bool = False,
    model: str | None = None,
    jobs: int = 1,
) -> Listing:
    """List every named tensor of `module`: parameters, buffers and plain tensor attributes.

    Names and order are those of ``named_parameters(remove_duplicate=False)``, then the buffers',
    then the plain tensors'.  A tensor under several names has a row for each, tied to the first.

    Example:
        >>> report = parameters(nn.Linear(4, 3))
        >>> [(row.name, row.shape) for row in report.rows]
        [('weight', (3, 4)), ('bias', (3,))]

    A sharded parameter has the shape of the whole.  Its statistics and values take an exchange, so that all
    processes call this; they are the same everywhere, and see `sharded_statistics` for how exact they are.

    Args:
        module: any module; lazy and meta parameters are fine if no values are asked for.
        stats: add mean, std, min, max, norm, counts of zeros, NaN and infinity, and a histogram.
        values: add the elements.
        model: what to call the model in the report; by default the module's class name.
        jobs: threads that compute statistics; no number depends on them.

    Raises:
        ValueError: if values are asked for of tensors on the meta device.
        ParamtoolError: in every process, if one of several cannot read what it holds.
    """
    spread = (stats or values) and has_sharded(module)
    if (stats or values) and not spread:
        check_values(module)
    rows = []
    first: dict[int, ParameterRow] = {}
    bases: dict[type, tuple[str, ...]] = {}
    for named in named_tensors(module):
        kind = class_of(named.owner)
        if kind not in bases:
            bases[kind] = _bases(kind)
        row = _row(named, first.get(id(named.tensor)), bases[kind], values and not spread)
        first.setdefault(id(named.tensor), row)
        rows.append(row)
    if spread:
        tensors = {each.name: each.tensor for each in named_tensors(module)}
        rows = _with_elements(rows, tensors, stats, values, jobs)
    elif stats:
        rows = _with_statistics(rows, module, jobs)
    rows = count_once(rows)
    columns = listing_columns(stats, values)
    name = model or class_of(module).__name__
    return Report("inspect", name, tuple(rows), totals(rows), columns, module_types(module))


def state_listing(state: Mapping[str, Tensor], name: str) -> Listing:
    """List the tensors of a state_dict; anything else in it is left out.

    A state_dict does not say what is a parameter, nor which class owns it.
    """
    rows = []
    first: dict[object, ParameterRow] = {}
    for key, tensor in state.items():
        if not isinstance(tensor, Tensor):
            continue
        named = NamedTensor(key, tensor, nn.Module(), "stored")
        row = _row(named, first.get(identity(tensor)), (), values=False)
        row = replace(row, type=None, requires_grad=None)
        first.setdefault(identity(tensor), row)
        rows.append(row)
    rows = count_once(rows)
    return Report("inspect", name, tuple(rows), totals(rows), listing_columns(False, False))


def measured_together(
    report: Listing, state: Mapping[str, Tensor], *, stats: bool, values: bool, jobs: int
) -> Listing:
    """Return the listing of a state_dict that is sharded with statistics or elements; all processes call it.

    Raises:
        ParamtoolError: in every process, if one cannot read what it holds.
    """
    rows = tuple(_with_elements(report.rows, state, stats, values, jobs))
    return replace(report, rows=rows, columns=listing_columns(stats, values))


def identity(tensor: Tensor) -> object:
    """Return what is equal for two entries of a state_dict that are one tensor: each access makes a view."""
    if is_sharded(tensor):  # a process may hold nothing of it, in a storage that it has all the same
        local = local_of(tensor)
        storage = local.untyped_storage()._cdata
        return storage, local.storage_offset(), local.stride(), tuple(tensor.shape), tensor.dtype
    extent = extent_of(tensor)
    return id(tensor) if extent is None or extent.is_empty else (extent, tensor.dtype)


def _bases(kind: type) -> tuple[str, ...]:
    return tuple(base.__name__ for base in kind.__mro__ if issubclass(base, nn.Module))


def _with_statistics(rows: list[ParameterRow], module: nn.Module, jobs: int) -> list[ParameterRow]:
    names = [row.name for row in rows if row.tied_to is None and row.shape is not None]
    found = statistics_by_name(ModuleElements(module), names, jobs=jobs)
    return [replace(row, **found.get(row.tensor, {})) for row in rows]


def _with_elements(
    rows: Iterable[ParameterRow], named: Mapping[str, Tensor], stats: bool, values: bool, jobs: int
) -> list[ParameterRow]:
    """Return rows with what all processes find together."""
    tensors = {row.name: named[row.name] for row in rows if row.tied_to is None and row.shape is not None}
    found: dict[str, dict[str, Any]] = {name: {} for name in tensors}
    if stats:
        for name, numbers in sharded_statistics(tensors, jobs=jobs).items():
            found[name].update(numbers)
    if values:
        elements = ShardedElements(tensors)
        for name in tensors:
            found[name]["values"] = printed_elements(elements, name)
    return [replace(row, **found.get(row.tensor, {})) for row in rows]


def _row(
    named: NamedTensor, first: ParameterRow | None, bases: tuple[str, ...], values: bool
) -> ParameterRow:
    tensor = named.tensor
    lazy = is_lazy(tensor)
    shown = None
    if values and not lazy:
        shown = first.values if first else printed(tensor)
    return ParameterRow(
        name=named.name,
        type=class_of(named.owner).__name__,
        shape=shape_of(tensor),
        dtype=dtype_name(tensor),
        numel=None if lazy or tensor.is_nested else tensor.numel(),
        nbytes=nbytes_of(tensor),
        requires_grad=tensor.requires_grad,
        tied_to=first.name if first else None,
        kind=named.kind,
        persistent=named.persistent,
        bases=bases,
        values=shown,
    )
