"""A record of fills without memory: on the meta device, while constructors hear of the CPU."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from paramtool.network.fill_record import Recording
from paramtool.network.meta_device import on_meta

_IS_META = vars(torch._C.TensorBase)["is_meta"]

_CPU_ANSWERS: Mapping[object, object] = {
    vars(torch._C.TensorBase)["device"]: torch.device("cpu"),
    vars(torch._C.TensorBase)["is_cpu"]: True,
    _IS_META: False,
}
"""What a constructor hears where it asks a tensor for its device: there are values, as in Python."""

_PICKLES = Tensor._reduce_ex_internal.__code__
"""It reads the elements where no mode sees it."""


class Sketch(Recording):
    """Builds structure on the meta device, and knows what every tensor would have been filled with.

    Memory does not grow with the model, so weights of any size can be written block by block.
    """

    def _run(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        asked = getattr(func, "__self__", None)
        if asked in _CPU_ANSWERS and args[0].is_meta:
            who = sys._getframe(2)  # above this and `__torch_function__`
            if who.f_code is _PICKLES:
                raise NotImplementedError("a tensor on the meta device has no values to pickle")
            if str(who.f_globals.get("__name__", "")).partition(".")[0] != "torch":
                return _CPU_ANSWERS[asked]  # whoever asks may leave out what values need
            if asked is _IS_META:
                self._record.forget(args[0])
        return on_meta(func, args, kwargs)

    def _literal(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor
    ) -> Tensor:
        del result
        elements: Tensor = func(*args, **{**kwargs, "device": "cpu"})
        return elements.detach()
