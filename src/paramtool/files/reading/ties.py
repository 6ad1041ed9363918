"""Which of the tensors that lie in one storage are one tensor under several names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from paramtool.files.reading.checkpoint import Stored


def tie(tensors: Iterable[Stored]) -> tuple[tuple[Stored, ...], dict[str, str]]:
    """Return the tensors, each once, and the further names of those that are the very same elements.

    A tensor that has its storage for itself loses its mark.
    """
    first: dict[object, str] = {}
    own: list[Stored] = []
    tied: dict[str, str] = {}
    for each in tensors:
        place = (each.path, each.storage, each.start, each.shape, each.strides, each.dtype)
        key = place if each.nbytes and each.storage is not None else each.name
        if key in first:
            tied[each.name] = first[key]
        else:
            first[key] = each.name
            own.append(each)
    uses = Counter((each.path, each.storage) for each in own)
    alone = (each if uses[each.path, each.storage] > 1 else replace(each, storage=None) for each in own)
    return tuple(alone), tied
