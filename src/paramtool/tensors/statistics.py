"""Statistics of one live tensor."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from paramtool.elements.statistics import statistics_of
from paramtool.tensors.elements import TensorElements


def statistics(tensor: Tensor) -> dict[str, Any]:
    """Return mean, std, min, max, norm, zeros, nan, inf and histogram of `tensor`; see `statistics_of`.

    Raises:
        ParamtoolError: if values of its dtype are not read.
    """
    return statistics_of(TensorElements({"": tensor}), "")
