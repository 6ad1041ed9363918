"""An initializer that changes the present values, for ``paramtool init --plugin prune.py --with prune``."""

from torch import Tensor

import paramtool


@paramtool.initializer(replaces=False)
def prune(tensor: Tensor, below: float = 5.0) -> None:
    """Set elements to zero whose magnitude is less than `below`; leave the others as they are."""
    tensor.mul_(tensor.abs() >= below)
