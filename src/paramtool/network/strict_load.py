"""Load a checkpoint into a module: strictly, and only if nothing is wrong with any of its tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from paramtool.errors import DoesNotLoad, ParamtoolError, shorten
from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.quantities import and_more
from paramtool.suggestion import did_you_mean
from paramtool.tensors.elements import StoredTensors, torch_dtype
from paramtool.tensors.memory import as_bytes, fill
from paramtool.tensors.named_tensors import dtype_name, stored_tensors


@dataclass(frozen=True)
class _Target:
    """One tensor of the module under all of its names, and the names that the file has of them."""

    names: tuple[str, ...]
    tensor: Tensor
    found: tuple[str, ...]


def load(module: nn.Module, checkpoint: Checkpoint) -> list[str]:
    """Fill the parameters and persistent buffers of `module`, and return notes about it.

    Every name must have its partner, and the shapes must agree.  A tied tensor may be in the file under
    any of its names; under several, these must be equal: torch's ``load_state_dict`` takes the last and
    says that all keys match.  Of a module on the meta device only the names and shapes are compared.

    Raises:
        DoesNotLoad: with every missing, unexpected and reshaped name; the module is left as it was.
        ParamtoolError: if elements cannot be read, or those of a tied tensor differ.
    """
    values = LoadedValues(module, checkpoint)
    for target in values.targets:
        if not target.tensor.is_meta:
            fill(target.tensor, values.blocks(target.names[0]))
    return [*values.notes, *values.warnings]


class LoadedValues:
    """The elements that a strict load gives each tensor of a module, read from the files in blocks.

    Args:
        module: of which nothing is changed.
        checkpoint: loaded into it.

    Attributes:
        targets: every tensor that is loaded.
        notes: what there is to say of the casts.

    Raises:
        DoesNotLoad: with every missing, unexpected and reshaped name.
        ParamtoolError: if elements cannot be read, or those of a tied tensor differ.
    """

    def __init__(self, module: nn.Module, checkpoint: Checkpoint) -> None:
        stored = checkpoint.by_name
        self.targets = list(_targets(module, stored))
        problems = [*_unpaired(self.targets, checkpoint), *_unlike(self.targets, stored, checkpoint.name)]
        if problems:
            raise DoesNotLoad(problems)
        self._file = checkpoint.name
        self._elements = StoredTensors(checkpoint)
        for target in self.targets:
            _check_tie(target, stored, self._elements, checkpoint.name)
        self._by_name = {target.names[0]: target for target in self.targets}
        self._not_finite: set[str] = set()
        self.notes = list(_casts(self.targets, stored, checkpoint.name))

    def blocks(self, name: str) -> Iterator[Tensor]:
        """Yield the elements of the tensor of that first name, in the module's dtype, as `Elements` does.

        Raises:
            ParamtoolError: if they cannot be read.
        """
        target = self._by_name[name]
        for stored in self._elements.blocks(target.found[0]):
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


def _targets(module: nn.Module, stored: dict[str, Stored]) -> Iterator[_Target]:
    for group in stored_tensors(module):
        names = tuple(each.name for each in group)
        yield _Target(names, group[0].tensor, tuple(name for name in names if name in stored))


def _unpaired(targets: list[_Target], checkpoint: Checkpoint) -> Iterator[ParamtoolError]:
    """Yield names without a partner; hints are computed only if they are shown, each among all names."""
    known = {name for target in targets for name in target.names}
    unexpected = {name: stored for name, stored in checkpoint.by_name.items() if name not in known}
    for target in targets:
        if not target.found:
            name = target.names[0]
            message = f"{checkpoint.name} lacks '{shorten(name)}' {_shape(target.tensor)}"
            yield ParamtoolError(message, hint=partial(_prefixed, name, unexpected))
    missing = [target.names[0] for target in targets if not target.found]
    for name, stored in unexpected.items():
        message = (
            f"{checkpoint.name} has '{shorten(name)}' {list(stored.shape)}, which the model does not have"
        )
        yield ParamtoolError(message, hint=partial(_misspelt, name, missing))


def _misspelt(name: str, missing: list[str]) -> str | None:
    """Find the name that was meant, unless its own line says so already."""
    return None if any(name.endswith(f".{each}") for each in missing) else did_you_mean(name, missing)


def _prefixed(name: str, unexpected: Iterable[str]) -> str | None:
    """Find the same name behind the ``module.`` of a DataParallel, or another prefix."""
    found = next((each for each in unexpected if each.endswith(f".{name}")), None)
    return f"it has '{shorten(found)}'" if found else None


def _unlike(targets: list[_Target], stored: dict[str, Stored], file: str) -> Iterator[ParamtoolError]:
    for target in targets:
        for name in target.found:
            tensor, found = target.tensor, stored[name]
            if nn.parameter.is_lazy(tensor):
                yield ParamtoolError(f"'{name}' is lazy and has no shape", hint="give the spec an 'input'")
            elif tuple(tensor.shape) != found.shape:
                shapes = f"{_shape(tensor)} in the model but {list(found.shape)} in {file}"
                yield ParamtoolError(f"'{shorten(name)}' is {shapes}")
            elif _loses(torch_dtype(found), tensor.dtype):
                dtypes = f"{dtype_name(tensor)} in the model but {found.dtype} in {file}"
                yield ParamtoolError(f"'{shorten(name)}' is {dtypes}")


def _loses(old: torch.dtype, new: torch.dtype) -> bool:
    """Return whether a cast would lose the imaginary part, or the fraction."""
    is_fraction = new.is_floating_point or new.is_complex
    return (old.is_complex and not new.is_complex) or (old.is_floating_point and not is_fraction)


def _check_tie(target: _Target, stored: dict[str, Stored], elements: StoredTensors, file: str) -> None:
    first, *others = target.found
    for name in others:
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


def _casts(targets: list[_Target], stored: dict[str, Stored], file: str) -> Iterator[str]:
    counts: dict[tuple[str, str], int] = {}
    for target in targets:
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


def _shape(tensor: Tensor) -> str:
    return "" if nn.parameter.is_lazy(tensor) else str(list(tensor.shape))
