"""The records of a spec, equal to those of the module that torch builds."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

from paramtool.language.document import Spec
from paramtool.place import Place
from paramtool.records.extent import Extent
from paramtool.records.layout import Layout
from paramtool.records.parameter import Listing, ParameterRow, listing_columns
from paramtool.records.report import Report
from paramtool.records.totals import count_once, totals
from paramtool.structure.assembly import assemble, assemble_for_any
from paramtool.structure.facts import shipped_facts
from paramtool.structure.modules import Module, Slot, Source, Tensor, walk
from paramtool.structure.statements import apply


def listing(spec: Spec, name: str) -> Listing:
    """List every named tensor of `spec`, as ``network.listing.parameters`` lists those of its module.

    Args:
        spec: the model.
        name: its name in the report.

    Raises:
        Unsure: if torch might build something else, warn or refuse.
    """
    return _listing(_modules(spec), name)[0]


def layout(spec: Spec, name: str | None = None) -> Layout:
    """Return the names of `spec`, and which of them share memory, as ``network.layout.layout_of`` does.

    Args:
        spec: the model.
        name: its name in the report; by default the name of the spec.

    Raises:
        Unsure: if torch might build something else, warn or refuse.
    """
    return _layout(_modules(spec), name or spec.name)[0]


class Whole(NamedTuple):
    """All that the table says of a spec.

    Attributes:
        layout: every name, and which of them share memory.
        padding: the row of an embedding's weight that gets no gradient, by each of its names.
        sources: what makes each tensor, by its first name, where that is the call of one class.
    """

    layout: Layout
    padding: dict[str, int]
    sources: dict[str, Source]


def whole(spec: Spec, name: str) -> Whole:
    """Return all that the table says of `spec`, which is called `name` in reports.

    Raises:
        Unsure: if torch might build something else, warn or refuse.
    """
    modules = _modules(spec)
    layout, tensors = _layout(modules, name)
    rows = {f"{prefix}weight": each.padding_idx for prefix, each in modules if each.padding_idx is not None}
    sources = {name: each.source for name, each in tensors.items() if each.source is not None}
    return Whole(layout, rows, sources)


def places(spec: Spec) -> dict[str, Place]:
    """Return the places by the paths of modules and the names of tensors.

    Modules that torch makes inside another are not in it: their place is that of the module around them.

    Raises:
        Unsure: if torch might build something else, warn or refuse.
    """
    found = {}
    for prefix, module in walk(assemble(spec)):
        if module.place is not None:
            found[prefix[:-1]] = module.place
        for kind in ("tensor", "parameter", "buffer"):
            for slot, tensor in zip(module.slots, module.tensors, strict=True):
                if slot.kind == kind and tensor.place is not None:
                    found[prefix + slot.name] = tensor.place
    return found


def suggestions(spec: Spec) -> list[str]:
    """Return the paths of the modules for somebody who types one, whatever torch is installed.

    Raises:
        Unsure: if the torch that the table was checked against might build something else, warn or refuse.
    """
    return [prefix[:-1] for prefix, _ in walk(assemble_for_any(spec)) if prefix]


def _modules(spec: Spec) -> list[tuple[str, Module]]:
    module = assemble(spec)
    apply(module, spec)
    return list(walk(module))


def _layout(modules: list[tuple[str, Module]], name: str) -> tuple[Layout, dict[str, Tensor]]:
    listed, tensors = _listing(modules, name)
    first: dict[int, str] = {}
    paths = {prefix[:-1]: first.setdefault(id(each), prefix[:-1]) for prefix, each in modules}
    return Layout(listed, {each: _extent(tensor) for each, tensor in tensors.items()}, paths), tensors


def _listing(modules: list[tuple[str, Module]], name: str) -> tuple[Listing, dict[str, Tensor]]:
    """Return the listing, and the tensors by their first names."""
    first: dict[int, str] = {}
    tensors: dict[str, Tensor] = {}
    rows: list[ParameterRow] = []
    for full, slot, tensor, module in _slots(modules):
        tied_to = first.get(id(tensor))
        if tied_to is None:
            first[id(tensor)] = full
            tensors[full] = tensor
        rows.append(_row(full, slot, tensor, module, tied_to))
    rows = count_once(rows)
    types = {prefix[:-1]: module.type for prefix, module in modules}
    return Report("inspect", name, tuple(rows), totals(rows), listing_columns(False, False), types), tensors


def _slots(modules: list[tuple[str, Module]]) -> Iterator[tuple[str, Slot, Tensor, Module]]:
    """Yield names and tensors with the modules that own them: parameters, then buffers, then the others."""
    later: dict[str, list[tuple[str, Slot, Tensor, Module]]] = {"buffer": [], "tensor": []}
    for prefix, module in modules:
        for slot, tensor in zip(module.slots, module.tensors, strict=True):
            found = (prefix + slot.name, slot, tensor, module)
            if slot.kind == "parameter":
                yield found
            else:
                later[slot.kind].append(found)
    yield from later["buffer"]
    yield from later["tensor"]


def _row(name: str, slot: Slot, tensor: Tensor, module: Module, tied_to: str | None) -> ParameterRow:
    numel = prod(tensor.shape)
    known: dict[str, Any] = {"tied_to": tied_to, "persistent": slot.persistent}
    return ParameterRow(
        name=name,
        type=module.type,
        shape=tensor.shape,
        dtype=tensor.dtype,
        numel=numel,
        nbytes=numel * shipped_facts().itemsizes[tensor.dtype],
        requires_grad=tensor.requires_grad,
        kind=slot.kind,
        bases=module.bases,
        **{key: value for key, value in known.items() if value is not None},  # a row with less is smaller
    )


def _extent(tensor: Tensor) -> Extent:
    """Return the bytes of `tensor`, in row-major order, in a space of its own memory."""
    itemsize = shipped_facts().itemsizes[tensor.dtype]
    strides = []
    stride = itemsize
    for size in reversed(tensor.shape):
        strides.append(stride)
        stride *= max(size, 1)
    space = ("meta", id(tensor.memory or tensor))
    return Extent(space, 0, itemsize, tensor.shape, tuple(reversed(strides)))
