"""Memory for the tensors of a module that was built on the meta device, as large ones are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.network.free_memory import check_fits
from paramtool.tensors.named_tensors import stored_tensors
from paramtool.tensors.sharding import is_sharded


def materialize(module: nn.Module) -> None:
    """Put what a state_dict holds of `module`, and is on the meta device, on the CPU, as zeros.

    Tied tensors stay tied, which those of ``to_empty`` do not, and a buffer that is not stored stays where
    it is: nothing could give it its values.  Of a sharded tensor each process gets its part.

    Raises:
        OutOfMemory: if there is no room for them.
    """
    groups = [
        group for group in stored_tensors(module) if group[0].tensor.is_meta and not is_lazy(group[0].tensor)
    ]
    if not groups:
        return
    parts = (each[0].tensor.to_local() if is_sharded(each[0].tensor) else each[0].tensor for each in groups)  # type: ignore[attr-defined]
    check_fits("the weights", sum(each.nbytes for each in parts))
    wanted = {id(group[0].tensor) for group in groups}
    made: dict[int, Tensor] = {}

    def with_memory(tensor: Tensor) -> Tensor:
        if id(tensor) not in wanted:
            return tensor
        if id(tensor) not in made:
            made[id(tensor)] = torch.zeros_like(tensor, device="cpu")
        return made[id(tensor)]

    # as `to_empty` does it, so that classes which keep other references know
    module._apply(with_memory)  # type: ignore[no-untyped-call]
    for group in groups:
        owner, _, name = group[0].name.rpartition(".")
        first = getattr(module.get_submodule(owner), name)
        for each in group[1:]:
            owner, _, name = each.name.rpartition(".")
            if getattr(module.get_submodule(owner), name) is not first:
                setattr(module.get_submodule(owner), name, first)
