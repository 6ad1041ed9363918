"""A live module, or a state_dict, as a model: what Python users pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from paramtool.models.built import BuiltModel

if TYPE_CHECKING:
    from torch import nn

    from paramtool.network.construction import Network


class ModuleModel(BuiltModel):
    """An ``nn.Module`` that is there already, with the values that it has."""

    def __init__(
        self, module: nn.Module, name: str | None = None, tell: Callable[[str], object] | None = None
    ) -> None:
        from paramtool.tensors.named_tensors import class_of

        super().__init__(name or class_of(module).__name__, tell)
        self.module = module

    def _build(self, values: bool, rng: str) -> Network:
        """Return the module itself."""
        del values, rng
        from paramtool.network.construction import Network
        from paramtool.network.members import unseen
        from paramtool.network.nesting import check_nesting
        from paramtool.tensors.fsdp import reshard

        check_nesting(self.module)
        reshard(self.module)
        return Network(self.module, tuple(unseen(self.module)), has_values=True)
