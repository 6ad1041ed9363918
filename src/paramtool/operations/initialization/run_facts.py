"""What the parts of one run have in common: files of runs that differ in any of it must not be mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from paramtool import __version__
from paramtool.operations.initialization.stored_tensor import StoredTensor
from paramtool.records.initialization import InitializationTotals
from paramtool.tensors.memory import digest

_SAMPLE = 256
"""Elements that are read from a checkpoint: all of it would take every part as long as writing everything."""


def run_facts(
    saved: Sequence[StoredTensor], totals: InitializationTotals, max_shard_size: int | None
) -> dict[str, Any]:
    """Return the facts in JSON's types, first those that a person chose.

    Args:
        saved: every tensor of the model, not only those of a part.
        totals: with the seed and the rules.
        max_shard_size: bytes of tensors in one file at most.

    Raises:
        ParamtoolError: if a checkpoint that values come from cannot be read.
    """
    return {
        "seed": totals.seed,
        "rules": list(totals.rules),
        "max_shard_size": max_shard_size,
        "torch": totals.torch,
        "paramtool": __version__,
        "values": _digest(part for each in saved for part in _origin(each)),
    }


def _digest(parts: Iterable[bytes]) -> str:
    found = sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.hexdigest()


def _origin(each: StoredTensor) -> Iterable[bytes]:
    """Yield what the values of a tensor follow from; the values themselves where these are in memory."""
    yield each.name.encode()
    for step in each.steps:
        yield f"{step.position} {step.rule} {_function_name(step.function)}".encode()
        yield _code_of(step.function)
    if each.is_replaced:
        return
    if each.loaded is not None:
        for read in each.loaded(0, min(_SAMPLE, each.tensor.numel())):
            yield digest(read).encode()
    elif each.fills is None:
        yield digest(each.tensor).encode()
    else:
        yield each.fills.name.encode()
        for fill in each.fills.steps:
            yield repr((fill.method, fill.arguments, dict(fill.named), fill.start, fill.stop)).encode()
            if fill.elements is not None:
                yield digest(fill.elements).encode()


def _function_name(function: Callable[..., object]) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"


def _code_of(function: Callable[..., object]) -> bytes:
    """Return the digest of the file that a function is in, for a plugin; nothing where there is none."""
    code = getattr(function, "__code__", None)
    return _file_digest(code.co_filename) if code is not None else b""


@cache
def _file_digest(path: str) -> bytes:
    try:
        return sha256(Path(path).read_bytes()).digest()
    except (OSError, ValueError):
        return b""
