"""What a state_dict holds, without the elements."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.loading.answer import Shape
from paramtool.name_parts import is_below, parent
from paramtool.records.parameter import Listing, ParameterRow

EXTRA_STATE = "_extra_state"
"""The last part of the key under which ``get_extra_state()`` is saved."""

_NORM = "_NormBase"
_NORMS = {_NORM, "SyncBatchNorm"}.union(
    f"{kind}Norm{rank}d" for kind in ("Batch", "Instance", "LazyBatch", "LazyInstance") for rank in (1, 2, 3)
)
"""The classes of torch.nn whose version is 2; that of all others is 1."""


class Entry(NamedTuple):
    """One tensor under one key.

    Attributes:
        name: the key.
        shape: sizes; None for a lazy tensor that has none yet.
        dtype: torch's name without ``torch.``; None where it is unknown.
        tensor: the first key of the same tensor.
    """

    name: str
    shape: Shape
    dtype: str | None
    tensor: str


@dataclass(frozen=True)
class StateDict:
    """What ``load_state_dict`` is given.

    Attributes:
        entries: the tensors, in order.
        objects: keys of what is not a tensor, such as an extra state.
        metadata: ``_metadata``: for the path of each module its version, and what else it says.
        absent: names that the file maps to another and does not store, as safetensors files do.
    """

    entries: tuple[Entry, ...]
    objects: tuple[str, ...] = ()
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()

    def version(self, module: str) -> int | None:
        """Return the version of the module at that path; None where nothing is said of it."""
        found = self.metadata.get(module, {}).get("version")
        return found if isinstance(found, int) else None


def is_stored(row: ParameterRow) -> bool:
    """Return whether a state_dict holds it."""
    return row.kind != "tensor" and row.persistent is not False


def is_norm(kind: str | None, bases: Iterable[str] = ()) -> bool:
    """Return whether a class is a BatchNorm or InstanceNorm, whose version is 2."""
    return kind in _NORMS or _NORM in bases


def in_saved_order(report: Listing, rows: Iterable[ParameterRow]) -> list[ParameterRow]:
    """Return those of `rows` that a state_dict holds, in its order: by modules, and parameters first.

    Args:
        report: the listing that they are of, for the order of its modules; rows of modules that it does not
            have come last.
        rows: rows of a listing, in which all parameters come before all buffers.
    """
    numbers = {path: number for number, path in enumerate(report.modules)}
    stored = [row for row in rows if is_stored(row)]
    return sorted(stored, key=lambda row: numbers.get(parent(row.name), len(numbers)))


def of_listing(report: Listing, rows: Iterable[ParameterRow], absent: Collection[str] = ()) -> StateDict:
    """Return the state_dict of a model that is listed.

    Args:
        report: the listing, for the classes of its modules.
        rows: those of it that count.
        absent: names that a file only maps to another.
    """
    stored = in_saved_order(report, rows)
    entries = tuple(
        Entry(row.name, row.shape, row.dtype, row.tensor) for row in stored if row.name not in absent
    )
    if any(row.kind == "stored" for row in stored):  # a file, of which only its reader knows the versions
        return StateDict(entries, absent=frozenset(absent))
    bases = {parent(row.name): (row.type, row.bases) for row in stored if row.type is not None}
    norms = {path for path, found in bases.items() if is_norm(*found)}
    norms |= {path for path, kind in report.modules.items() if is_norm(kind)}
    versions = {path: {"version": 2 if path in norms else 1} for path in (*report.modules, *bases)}
    return StateDict(entries, metadata=versions, absent=frozenset(absent))


def of_checkpoint(checkpoint: Checkpoint, absent: Collection[str] = ()) -> StateDict:
    """Return the state_dict in a checkpoint; a whole module has the versions of its classes.

    Args:
        checkpoint: the files.
        absent: names that they only map to another.
    """
    objects, entries = list(checkpoint.objects), list[Entry]()
    extra = [name for name in objects if name.rpartition(".")[2] == EXTRA_STATE]
    for name, each, own in checkpoint.described():
        if each.is_array:
            objects.append(name)
        elif each.persistent is not False and name not in absent:
            entries.append(Entry(name, each.shape, each.dtype, own))
    if extra:
        entries = [each for each in entries if not any(is_below(each.name, key) for key in extra)]
    versions = checkpoint.versions or {
        path: 2 if is_norm(kind) else 1 for path, kind in checkpoint.modules.items()
    }
    metadata = {path: {"version": each} for path, each in versions.items()}
    return StateDict(tuple(entries), tuple(objects), metadata, frozenset(absent))
