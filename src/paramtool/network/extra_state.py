"""The extra state of modules, which a checkpoint may hold as an object that is not read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from torch import nn

from paramtool.loading.state_dict import EXTRA_STATE
from paramtool.name_parts import prefix


@contextmanager
def without_extra_state(module: nn.Module, given: Collection[str] = ()) -> Iterator[None]:
    """Keep from ``set_extra_state`` what is not there; torch still checks that the keys are.

    Args:
        module: of which the method is hidden for a while.
        given: keys whose values are there.
    """
    named = module.named_modules(remove_duplicate=False)
    kept = {id(each) for path, each in named if prefix(path) + EXTRA_STATE in given}
    hidden = [
        each for each in module.modules()
        if type(each).set_extra_state is not nn.Module.set_extra_state
        and id(each) not in kept and "set_extra_state" not in vars(each)
    ]  # fmt: skip
    for each in hidden:
        object.__setattr__(each, "set_extra_state", lambda _: None)
    try:
        yield
    finally:
        for each in hidden:
            object.__delattr__(each, "set_extra_state")
