"""Count floating-point operations by torch's own formulas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from paramtool.operations.cost.attention import FLOPS
from paramtool.operations.cost.operand_dtypes import check_operands

_FORMULAS: Mapping[Any, Callable[..., int]] = {**flop_registry, **FLOPS}


class OperationCount(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what torch's FlopCounterMode counts, by the same formulas, for each module.

    FlopCounterMode itself knows a module that is called under several names by one of them.

    Args:
        where: returns the path of the module that is running.

    Attributes:
        flops: floating-point operations of each path, without those of the modules in it.
    """

    supports_higher_order_operators = True

    def __init__(self, where: Callable[[], str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._where = where
        self.flops: Counter[str] = Counter()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        packet = func if isinstance(func, HigherOrderOperator) else func._overloadpacket
        formula = _FORMULAS.get(packet)
        if formula is None and packet is not func:
            if any(isinstance(each, Tensor) and each.is_nested for each in args):
                return NotImplemented
            with self:
                inner = func.decompose(*args, **named)
            if inner is not NotImplemented:
                return inner
        check_operands(packet, args)
        result = func(*args, **named)
        if formula is not None:
            self.flops[self._where()] += formula(*args, **named, out_val=result)
        return result
