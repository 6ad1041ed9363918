"""A custom initializer, for ``paramtool init --plugin split_uniform.py --with split_uniform``."""

from torch import Tensor

import paramtool


@paramtool.initializer
def split_uniform(tensor: Tensor, low: float = 5.0, high: float = 10.0) -> None:
    """Fill with zeros and with large values: w = U(-high, high) · (|w| ≥ low).

    An element is 0 with probability low/high, and else uniform in ±[low, high]: with 5 and 10, half
    of the mass is at 0, and a quarter in each of [-10, -5] and [5, 10].  Its mean is 0 and its
    variance (high³ - low³)/(3·high).

    Source: "Dive into Deep Learning", section 6.3, custom initialization.
    """
    if not 0 <= low <= high:
        raise ValueError(f"low and high are 0 <= low <= high, got {low:g} and {high:g}")
    tensor.uniform_(-high, high)
    tensor.mul_(tensor.abs() >= low)
