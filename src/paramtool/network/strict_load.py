"""Load a checkpoint into a module: strictly, and only if nothing is wrong with any of its tensors."""

from __future__ import annotations

import math
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from paramtool.audience import worded
from paramtool.errors import DoesNotLoad, ParamtoolError, UserCodeFailed, shorten, told
from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.loading.state_dict import StateDict, of_checkpoint
from paramtool.network.extra_state import without_extra_state
from paramtool.network.free_memory import check_fits
from paramtool.network.load_answer import Loaded, ask, meta_state
from paramtool.network.load_problems import Target, lossy, wrong
from paramtool.quantities import and_more
from paramtool.tensors.elements import StoredTensors
from paramtool.tensors.memory import as_bytes, fill
from paramtool.tensors.named_tensors import dtype_name, stored_tensors
from paramtool.tensors.sharding import fill_part, is_sharded


def load(module: nn.Module, checkpoint: Checkpoint) -> list[str]:
    """Fill the parameters and persistent buffers of `module`, and return notes about it.

    It is torch's strict load, with two exceptions: a tied tensor may be in the file under any of its names,
    and under several, these must be equal: torch takes the last and says that all keys match.  Of a module
    on the meta device only the names and shapes are compared.  Of a sharded one each process fills its part.

    Raises:
        DoesNotLoad: with every missing, unexpected and reshaped name; the module is left as it was.
        UserCodeFailed: if loading code of the module's own raises.
        ParamtoolError: if elements cannot be read, or those of a tied tensor differ.
    """
    values = LoadedValues(module, checkpoint)
    if values.is_mapped:
        for target in values.targets:
            if target.found and not target.tensor.is_meta:
                into = fill_part if is_sharded(target.tensor) else fill
                into(target.tensor, values.blocks(target.names[0]))
    else:
        _load_by_torch(module, checkpoint, values)
    return [*values.notes, *values.warnings]


class LoadedValues:
    """The elements that a strict load gives each tensor of a module, read from the files in blocks.

    Args:
        module: of which nothing is changed.
        checkpoint: loaded into it.

    Attributes:
        state: what the checkpoint holds.
        targets: every tensor that is loaded.
        is_mapped: whether each is one of the file's as it is, so that `blocks` has its elements.
        notes: what there is to say of the casts, and of what is not loaded.

    Raises:
        DoesNotLoad: with every missing, unexpected and reshaped name.
        ParamtoolError: if elements cannot be read, or those of a tied tensor differ.
    """

    def __init__(self, module: nn.Module, checkpoint: Checkpoint) -> None:
        stored = checkpoint.by_name
        self.state = of_checkpoint(checkpoint)
        loaded = ask(module, self.state)
        self.targets = list(_targets(module, stored, loaded))
        if loaded.failure is not None and any(each.tensor.is_meta for each in self.targets):
            what = f"loading into {type(module).__name__} needs values: {loaded.failure}"
            raise UserCodeFailed(
                what, hint=worded("ask for --stats or --values", "ask for stats=True or values=True")
            )
        problems = [*lossy(self.targets, stored, checkpoint.name)]
        if loaded.failure is None:  # else its own code says so while it loads
            problems = [*wrong(loaded.answer, self.targets, checkpoint), *problems]
        if problems:
            raise DoesNotLoad(problems)
        self._kept = set(loaded.answer.kept)
        self.is_mapped = loaded.failure is None and all(self._is_mapped(target) for target in self.targets)
        self._file = checkpoint.name
        self._elements = StoredTensors(checkpoint)
        for target in self.targets:
            _check_tie(target, stored, self._elements, checkpoint.name)
        self._by_name = {target.names[0]: target for target in self.targets}
        self._not_finite: set[str] = set()
        self.notes = [*_casts(self.targets, stored, checkpoint.name), *_not_set(self.state, checkpoint.name)]

    def _is_mapped(self, target: Target) -> bool:
        is_kept = not self._kept.isdisjoint(target.names)
        return not nn.parameter.is_lazy(target.tensor) and (bool(target.found) or is_kept)

    def blocks(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """Yield the elements of the tensor of that first name, in the module's dtype, as `Elements` does.

        Raises:
            ParamtoolError: if they cannot be read.
        """
        target = self._by_name[name]
        if not target.found:  # the count of a BatchNorm, which an old file lacks
            own = target.tensor
            whole = torch.zeros(own.numel(), dtype=own.dtype) if own.is_meta else own.detach().reshape(-1)
            yield whole[start:stop]
            return
        for stored in self._elements.blocks(target.found[0], start, stop):
            block = stored.to(target.tensor.dtype)
            if block.is_floating_point() and name not in self._not_finite and not _is_finite(block):
                self._not_finite.add(name)
            yield block

    @property
    def warnings(self) -> list[str]:
        """What there is to say of the elements that were read."""
        found = [target.found[0] for target in self.targets if target.names[0] in self._not_finite]
        if not found:
            return []
        more = and_more(len(found) - 1)
        return [f"{shorten(found[0])}{more} of {self._file} has NaN or infinities"]


def _targets(module: nn.Module, stored: dict[str, Stored], loaded: Loaded) -> Iterator[Target]:
    for group in stored_tensors(module):
        names = tuple(each.name for each in group)
        keys = [loaded.sources.get(name) if loaded.has_run else name for name in names]
        yield Target(names, group[0].tensor, tuple(dict.fromkeys(key for key in keys if key in stored)))


def _load_by_torch(module: nn.Module, checkpoint: Checkpoint, values: LoadedValues) -> None:
    """Load the whole file by torch's own code, which renames or computes what it wants.

    Raises:
        UserCodeFailed: if that code raises.
    """
    given: OrderedDict[str, Any] = meta_state(values.state)
    is_meta = any(target.tensor.is_meta for target in values.targets)
    if not is_meta:
        check_fits("the weights", sum(each.nbytes for each in checkpoint.tensors))
        elements, whole = StoredTensors(checkpoint), dict[int, Tensor]()
        for name in [each.name for each in values.state.entries]:
            empty = given[name]
            if id(empty) not in whole:
                whole[id(empty)] = torch.empty(empty.shape, dtype=empty.dtype)
                fill(whole[id(empty)], elements.blocks(name))
            given[name] = whole[id(empty)]
    known = () if is_meta else {each.name for each in values.state.entries}
    with without_extra_state(module, known), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of counts that are copied to the meta device
        try:
            module.load_state_dict(given, strict=_is_complete(values.targets))
        except Exception as error:
            raise UserCodeFailed(
                f"load_state_dict() of {type(module).__name__} failed: {told(error)}"
            ) from error


def _is_complete(targets: Iterable[Target]) -> bool:
    """Return whether every name of every tied tensor is stored; torch would miss the others."""
    return all(len(target.names) == 1 or len(target.found) != 1 for target in targets)


def _not_set(state: StateDict, file: str) -> Iterator[str]:
    """Yield a note on what is loaded in torch and is not read here: objects, as some extra states are."""
    if state.objects:
        more = and_more(len(state.objects) - 1)
        yield f"{shorten(state.objects[0])}{more} of {file} is not a tensor, and is not set"


def _check_tie(target: Target, stored: dict[str, Stored], elements: StoredTensors, file: str) -> None:
    first = target.found[0] if target.found else ""
    for name in target.found[1:]:
        if stored[name] is not stored[first] and not _are_equal(first, name, stored, elements):
            raise DoesNotLoad(
                [
                    ParamtoolError(
                        f"'{first}' and '{name}' are one tensor in the model but differ in {file}",
                        hint="untie them in the model, or store only one of them",
                    )
                ]
            )


def _are_equal(one: str, other: str, stored: dict[str, Stored], elements: StoredTensors) -> bool:
    if stored[one].dtype != stored[other].dtype:
        return False
    blocks = zip(elements.blocks(one), elements.blocks(other), strict=True)
    return all(as_bytes(mine) == as_bytes(its) for mine, its in blocks)


def _casts(targets: list[Target], stored: dict[str, Stored], file: str) -> Iterator[str]:
    counts: dict[tuple[str, str], int] = {}
    for target in targets:
        if not target.found:
            continue
        kinds = (stored[target.found[0]].dtype, dtype_name(target.tensor))
        counts[kinds] = counts.get(kinds, 0) + 1
    for (old, new), count in counts.items():
        if old != new:
            tensors = "1 tensor is" if count == 1 else f"{count:,} tensors are"
            yield f"{tensors} {old} in {file} and {new} in the model"


def _is_finite(block: Tensor) -> bool:
    """Return whether all elements are finite; their sum is looked at first, which is quick."""
    if math.isfinite(float(block.sum(dtype=torch.float32))):
        return True
    wide = block.float() if block.itemsize == 1 else block  # torch has no isfinite for float8
    return bool(wide.isfinite().all())
