"""The initializer of one element, or of one row: what ``weight[0, 0] = 42`` writes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

from paramtool.initializers.functions.elementwise import law
from paramtool.initializers.functions.laws import Law


@law
def put(shape: Sequence[int], index: int | Sequence[int], value: float) -> Law:
    """Set the element at `index` to `value`, as ``weight[0, 0] = 42``, and leave all others.

    An index counts from 0, a negative one from the end.  With fewer numbers than the tensor has
    dimensions it stands for all elements below: ``0`` is the first row of a matrix.
    """
    given = [index] if isinstance(index, int) else index
    span = _span(shape, [operator.index(each) for each in given])
    return Law(lambda block, _: block.fill_(value), value, 0.0, replaces=False, random=False, span=span)


def _span(shape: Sequence[int], index: Sequence[int]) -> tuple[int, int]:
    """Return the first element that `index` stands for, and the one after the last, in row-major order.

    Raises:
        ValueError: naming the index and the shape that has no such element.
    """
    if not index:
        raise ValueError("the index is empty; 'constant' sets every element")
    if len(index) > len(shape):
        raise ValueError(f"the index {list(index)} is longer than its shape {list(shape)}")
    start = 0
    for number, size in zip(index, shape, strict=False):
        if not -size <= number < size:
            raise ValueError(f"the index {list(index)} is outside its shape {list(shape)}")
        start = start * size + number % size
    length = math.prod(shape[len(index) :])
    return start * length, (start + 1) * length
