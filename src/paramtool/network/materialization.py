"""Memory for the tensors of a module that was built on the meta device, as large ones are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.name_parts import last_part
from paramtool.network.free_memory import check_fits
from paramtool.tensors.named_tensors import stored_tensors
from paramtool.tensors.sharding import local_of


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
    check_fits("the weights", sum(local_of(first.tensor).nbytes for first, *_ in groups))
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
    for first, *others in groups:
        tensor = getattr(first.owner, last_part(first.name))
        for each in others:
            setattr(each.owner, last_part(each.name), tensor)
