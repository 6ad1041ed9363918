"""One tensor on its way to the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from paramtool.elements.moments import Moments
from paramtool.errors import ParamtoolError
from paramtool.files.writing.weights import Entry
from paramtool.operations.initialization.tensor_stream import TensorStream
from paramtool.tensors import streams
from paramtool.tensors.arrays import array_of
from paramtool.tensors.kinds import is_strided, lack_of_values
from paramtool.tensors.named_tensors import dtype_name
from paramtool.tensors.sharding import is_sharded

SMALL = 1 << 14
"""Elements of a tensor that is written together with its neighbours."""


@dataclass
class StoredTensor(TensorStream):
    """One tensor on its way to the disk.

    Attributes:
        moments: what is known of the elements that are written.
        measured: their moments, where they were taken together with those of others.
    """

    moments: Moments = field(default_factory=Moments)
    measured: Mapping[str, Any] | None = None

    @property
    def entry(self) -> Entry:
        if not is_strided(self.tensor):
            kind = "sparse" if self.tensor.layout is not torch.strided else "not an ordinary tensor"
            if is_sharded(self.tensor):
                hint = "without its sharding the model gives the same bytes; --part divides the work"
                raise ParamtoolError(f"'{self.name}' is sharded, and cannot be written", hint=hint)
            raise ParamtoolError(f"'{self.name}' is {kind}, and cannot be written")
        lack = None if self.tensor.is_meta else lack_of_values(self.tensor)
        if lack:
            raise ParamtoolError(f"'{self.name}' {lack}")
        return Entry(self.name, dtype_name(self.tensor), tuple(self.tensor.shape))

    def result(self) -> Mapping[str, Any]:
        """Return mean, std, min and max of what was written."""
        return self.moments.result() if self.measured is None else self.measured

    @property
    def is_small(self) -> bool:
        """Whether it is written together with its neighbours."""
        return 0 < self.tensor.numel() <= min(SMALL, streams.BLOCK) and not (self.is_whole or self.is_read)


def look(each: StoredTensor, flat: Tensor, moments: Moments) -> None:
    """Take the elements of a tensor that rules fill into `moments`."""
    if not (each.steps and flat.is_floating_point()):
        return
    array, dtype = array_of(flat)
    if flat.dtype == torch.float32:
        moments.glance(array)
    else:
        moments.take(array, dtype)
