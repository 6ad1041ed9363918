"""Every kind of tensor, in every place of a module: what the tests of kinds run the commands on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Tagged(Tensor):
    """A subclass that adds nothing."""


def _freed() -> Tensor:
    tensor = torch.ones(3, 3)
    tensor.untyped_storage().resize_(0)
    return tensor


def _inference() -> Tensor:
    with torch.inference_mode():
        return torch.ones(3, 3)


def _fake() -> Tensor:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.ones(3, 3)


def _distributed() -> Tensor:
    from torch import distributed
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor import Replicate, distribute_tensor

    if not distributed.is_initialized():
        distributed.init_process_group(
            "fake",
            store=distributed.HashStore(),  # type: ignore[attr-defined]
            rank=0,
            world_size=1,
        )
    return distribute_tensor(torch.ones(3, 3), DeviceMesh("cpu", [0]), [Replicate()])


def _two() -> Tensor:
    from torch.testing._internal.two_tensor import TwoTensor

    return TwoTensor(torch.ones(3, 3), torch.ones(3, 3))  # type: ignore[no-untyped-call]


KINDS: dict[str, Callable[[], Tensor]] = {
    "plain": lambda: torch.ones(3, 3),
    "sparse_coo": lambda: torch.eye(3).to_sparse(),
    "uncoalesced": lambda: torch.sparse_coo_tensor(torch.tensor([[0, 0], [1, 1]]), torch.ones(2), (3, 3)),
    "sparse_csr": lambda: torch.eye(3).to_sparse_csr(),
    "sparse_csc": lambda: torch.eye(3).to_sparse_csc(),
    "sparse_bsr": lambda: torch.eye(4).to_sparse_bsr((2, 2)),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "jagged": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(3, 3), 0.1, 0, torch.quint8),
    "by_channel": lambda: torch.quantize_per_channel(
        torch.ones(3, 3), torch.ones(3), torch.zeros(3), 0, torch.qint8
    ),
    "meta": lambda: torch.ones(3, 3, device="meta"),
    "tagged": lambda: torch.ones(3, 3).as_subclass(Tagged),
    "distributed": _distributed,
    "two": _two,
    "inference": _inference,
    "freed": _freed,
    "empty": lambda: torch.ones(0, 3),
    "complex": lambda: torch.ones(3, 3, dtype=torch.complex64),
    "conjugated": lambda: torch.ones(3, 3, dtype=torch.complex64).conj(),
    "negated": lambda: torch.ones(3, 3, dtype=torch.complex64).conj().imag,
    "float8": lambda: torch.ones(3, 3).to(torch.float8_e4m3fn),
    "bits": lambda: torch.ones(3, 3, dtype=torch.uint8).view(torch.bits8),
    "expanded": lambda: torch.ones(1, 3).expand(3, 3),
    "scalar": lambda: torch.tensor(1.0),
    "fake": _fake,
    "mkldnn": lambda: torch.ones(3, 3).to_mkldnn(),
    "bool": lambda: torch.ones(3, 3) > 0,
}


class Holder(nn.Module):
    """A linear layer, and a tensor of one kind beside it."""

    def __init__(self, kind: str, role: str) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.kind, self.role = kind, role
        if role in {"parameter", "buffer", "attribute"}:
            tensor = KINDS[kind]()
            if role == "parameter":
                floats = tensor.is_floating_point() or tensor.is_complex()
                self.odd = nn.Parameter(tensor, requires_grad=floats)
            elif role == "buffer":
                self.register_buffer("odd", tensor)
            else:
                setattr(self, "odd", tensor)  # noqa: B010

    def forward(self, x: Tensor) -> Any:
        y: Tensor = self.linear(x)
        if self.role == "used":
            return KINDS[self.kind]() @ y.t()
        if self.role == "output":
            return y, KINDS[self.kind]()
        if self.role == "gradient":
            y.register_hook(lambda _: KINDS[self.kind]())  # type: ignore[no-untyped-call]
        return y


ROLES = ("parameter", "buffer", "attribute", "used", "output", "gradient")


def holder(kind: str, role: str) -> nn.Module:
    """Return a module with one such tensor."""
    return Holder(kind, role)


def other(kind: str, role: str) -> nn.Module:
    """Return the same module once more."""
    return Holder(kind, role)
