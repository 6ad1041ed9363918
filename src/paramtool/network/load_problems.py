"""What stands against loading a checkpoint into a module, one error each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.files.reading.formats import open_checkpoint
from paramtool.loading.answer import Answer, Shape
from paramtool.loading.prefix import difference
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
    empty = dict.fromkeys(name for target in targets if not target.found for name in target.names)
    differing = _differing({**dict.fromkeys(missing), **empty}, unexpected, checkpoint)
    if differing is not None:
        yield differing.error
        missing = [name for name in missing if name not in differing.missing]
        unexpected = dict.fromkeys(name for name in unexpected if name not in differing.unexpected)
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


@dataclass(frozen=True)
class _Differing:
    """One error for all names that differ by a prefix, and these names."""

    error: ParamtoolError
    missing: Collection[str]
    unexpected: Collection[str]


def _differing(
    missing: Collection[str], unexpected: Collection[str], checkpoint: Checkpoint
) -> _Differing | None:
    """Find out whether a prefix is all that most names differ by, and say how to go on."""
    found = difference(unexpected, missing)
    if found is not None:
        what = f"{_all_names(len(found.names), len(unexpected))} in {checkpoint.name} differ from the model's"
        error = ParamtoolError(
            f"{what} by {found.shown}", hint=f"{' '.join(found.options)} takes it off"
        ).mended((), found.options)
        key = _key(checkpoint, found.texts)
        if key is not None:
            error.mended(checkpoint.name, key)
        return _Differing(error, set(found.names.values()), found.names)
    found = difference(missing, unexpected)
    if found is None:
        return None
    what = f"{_all_names(len(found.names), len(missing))} of the model differ from those in {checkpoint.name}"
    hint = f"{' '.join(found.options)} loads it into the module inside"
    error = ParamtoolError(f"{what} by {found.shown}", hint=hint).mended((), found.options)
    return _Differing(error, found.names, set(found.names.values()))


def _all_names(count: int, total: int) -> str:
    return "the names" if count == total else f"{count:,} of {total:,} names"


def _key(checkpoint: Checkpoint, texts: tuple[str, ...]) -> str | None:
    """Return ``file.pt:key`` if the prefix is the key of a state_dict in the file."""
    named = f"{checkpoint.name}:{texts[0].removesuffix('.')}"
    try:
        if len(texts) > 1 or ":" in checkpoint.name or not open_checkpoint(named).tensors:
            return None
    except ParamtoolError:
        return None
    return named


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
