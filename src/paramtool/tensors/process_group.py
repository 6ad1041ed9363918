"""The processes of a sharded model: what one finds or complains about, all know.

Whatever may raise in one process alone runs inside `gathered`, or before `agree`, and nothing there waits for
another process.  So none is left waiting for one that has given up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from paramtool.errors import (
    BadArgument,
    CannotAnswer,
    CannotOpen,
    NothingMatched,
    NoValues,
    ParamtoolError,
    first_line,
    told,
)

T = TypeVar("T")


_KINDS = {each.__name__: each for each in (NoValues, CannotAnswer, BadArgument, CannotOpen, NothingMatched)}
"""The errors that are of the same class in every process; any other is a plain one elsewhere."""


class _Found(NamedTuple):
    """What a process found, or its complaint: the class, a message and a hint."""

    value: Any
    complaint: tuple[str, str, str | None] | None = None


def gathered(work: Callable[[], T]) -> list[T]:
    """Return what `work` finds in each process, in the order of their ranks; all call it.

    Raises:
        ParamtoolError: its own complaint, or that of the first process that has one, in every process.
    """
    error: Exception | None = None
    own = _Found(None)
    try:
        own = _Found(work())
    except Exception as raised:
        error = raised
        own = _Found(None, _complaint(raised))
    if not dist.is_initialized():
        hint = "call init_process_group first, and this before destroy_process_group"
        raise error or ParamtoolError("the model is sharded, but its processes are not connected", hint=hint)
    everyone: list[Any] = [None] * dist.get_world_size()
    with _connected():
        dist.all_gather_object(everyone, own)
    if error is not None:
        raise error
    for rank, each in enumerate(everyone):
        if each.complaint is not None:
            name, message, hint = each.complaint
            kind = _KINDS.get(name, ParamtoolError)  # why a tensor has no values is part of a report
            raise kind(message if kind is NoValues else f"process {rank}: {message}", hint=hint)
    return [each.value for each in everyone]


def _complaint(error: Exception) -> tuple[str, str, str | None]:
    if isinstance(error, ParamtoolError):
        return type(error).__name__, error.message, error.hint
    return "", told(error), None


def agree(complaint: Exception | None) -> None:
    """Raise a complaint in every process if any process has one, before anything is written.

    Raises:
        ParamtoolError: its own complaint, or that of the first process that has one.
    """

    def work() -> None:
        if complaint is not None:
            raise complaint

    gathered(work)


@contextmanager
def raised_in_all(is_spread: bool) -> Iterator[None]:
    """Raise in every process what the block raises in one, if `is_spread`: if several hold the module.

    Nothing in the block may wait for another process.
    """
    complaint: Exception | None = None
    try:
        yield
    except Exception as error:
        if not is_spread:
            raise
        complaint = error
    if is_spread:
        agree(complaint)


def largest(own: Tensor) -> Tensor:
    """Return the largest of each byte over all processes, which all have as many: uint8, on the CPU."""
    at = _device()
    shared = own.to(at)
    with _connected():
        dist.all_reduce(shared, dist.ReduceOp.MAX)
    return shared.cpu()


@contextmanager
def _connected() -> Iterator[None]:
    """Say what it means that an exchange fails: another process is not there any more, or does not answer."""
    try:
        yield
    except RuntimeError as error:
        message = f"process {dist.get_rank()} lost the others: {first_line(error)}"
        raise ParamtoolError(message, hint="one of them has ended; what it wrote says why") from error


def _device() -> torch.device:
    """Return where tensors are that the processes exchange."""
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is None or "cpu:" in str(dist.get_backend_config()):
        return torch.device("cpu")
    return torch.device(accelerator.type, torch.accelerator.current_device_index())
