"""What stands against loading a checkpoint into a module, one error each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.loading.answer import Answer, Shape
from paramtool.suggestion import did_you_mean
from paramtool.tensors.elements import torch_dtype
from paramtool.tensors.named_tensors import dtype_name


@dataclass(frozen=True)
class Target:
    """One tensor of the module under all of its names, and the names of what the file has for it.

    Attributes:
        found: more than one where a tied tensor is stored under several names; none where it is computed
            from others, or keeps what it has.
    """

    names: tuple[str, ...]
    tensor: Tensor
    found: tuple[str, ...]


def wrong(answer: Answer, targets: list[Target], checkpoint: Checkpoint) -> Iterator[ParamtoolError]:
    """Yield what torch has against it; hints are looked for only if they are shown, each in all names."""
    first = {name: target for target in targets for name in target.names}
    stored = checkpoint.by_name
    unexpected = dict.fromkeys(answer.unexpected)
    missing = [name for name in answer.missing if name not in first or not first[name].found]
    missing = [name for name in missing if name not in first or first[name].names[0] == name]
    for name in missing:
        shape = f" {_shape(first[name].tensor)}".rstrip() if name in first else ""
        message = f"{checkpoint.name} lacks '{shorten(name)}'{shape}"
        yield ParamtoolError(message, hint=partial(_prefixed, name, unexpected))
    for name in unexpected:
        shape = f" {list(stored[name].shape)}" if name in stored else ""
        message = f"{checkpoint.name} has '{shorten(name)}'{shape}, which the model does not have"
        yield ParamtoolError(message, hint=partial(_misspelt, name, missing))
    for each in answer.sizes:
        shapes = f"{_sizes(each.now)} in the model but {_sizes(each.was)} in {checkpoint.name}"
        yield ParamtoolError(f"'{shorten(each.name)}' is {shapes}")
    for other in answer.others:
        yield ParamtoolError(f"{checkpoint.name} does not load: {shorten(other, 300)}")


def _misspelt(name: str, missing: list[str]) -> str | None:
    """Find the name that is meant, where that one's own line does not say so."""
    return None if any(name.endswith(f".{each}") for each in missing) else did_you_mean(name, missing)


def _prefixed(name: str, unexpected: Iterable[str]) -> str | None:
    """Find the same name behind the ``module.`` of a DataParallel, or another prefix."""
    found = next((each for each in unexpected if each.endswith(f".{name}")), None)
    return f"it has '{shorten(found)}'" if found else None


def lossy(targets: list[Target], stored: dict[str, Stored], file: str) -> Iterator[ParamtoolError]:
    """Yield what torch casts without a word, though an imaginary part or a fraction is lost."""
    for target in targets:
        for name in target.found:
            tensor, found = target.tensor, stored[name]
            if _loses(torch_dtype(found), tensor.dtype):
                dtypes = f"{dtype_name(tensor)} in the model but {found.dtype} in {file}"
                yield ParamtoolError(f"'{shorten(name)}' is {dtypes}")


def _loses(old: torch.dtype, new: torch.dtype) -> bool:
    """Return whether a cast would lose the imaginary part, or the fraction."""
    is_fraction = new.is_floating_point or new.is_complex
    return (old.is_complex and not new.is_complex) or (old.is_floating_point and not is_fraction)


def _shape(tensor: Tensor) -> str:
    return "" if nn.parameter.is_lazy(tensor) else str(list(tensor.shape))


def _sizes(shape: Shape) -> str:
    return "uninitialized" if shape is None else str(list(shape))
