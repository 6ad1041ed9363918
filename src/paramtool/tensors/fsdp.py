"""FSDP2, which puts whole parameters in the place of sharded ones while a module runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from torch import nn

_PACKAGE = "torch.distributed.fsdp._fully_shard"


def is_own_hook(hook: Callable[..., Any]) -> bool:
    """Return whether a hook is FSDP2's own, by which it shards what is saved or loaded."""
    return str(getattr(hook, "__module__", "")).startswith(_PACKAGE)


def reshard(module: nn.Module) -> None:
    """Have FSDP2 take back what it left whole after a forward pass without a backward pass."""
    for each in _sharded_modules(module):
        each.reshard()


@contextmanager
def resharded(module: nn.Module) -> Iterator[None]:
    """Have FSDP2 take back what a pass left whole, also if it failed, so that another one can follow."""
    try:
        yield
    except BaseException:
        _give_up(module)
        raise
    reshard(module)


def _give_up(module: nn.Module) -> None:
    """End a pass that failed.

    There is no public call for this: if torch has other attributes one day, the module stays as it is.
    """
    if "torch.distributed.fsdp" not in sys.modules:
        return
    from torch.distributed.fsdp._fully_shard._fsdp_common import TrainingState

    for each in _sharded_modules(module):
        with suppress(AttributeError):
            state = each._get_fsdp_state()
            state._state_ctx.iter_forward_root = None
            state._training_state = TrainingState.IDLE
            groups = getattr(state, "_fsdp_param_groups", None) or [state._fsdp_param_group]
            for group in filter(None, groups):
                group._training_state = TrainingState.IDLE
                group._to_sharded()


def _sharded_modules(module: nn.Module) -> Iterator[Any]:
    fsdp = sys.modules.get("torch.distributed.fsdp")
    return (each for each in module.modules() if fsdp is not None and isinstance(each, fsdp.FSDPModule))
