"""The processes of a sharded model: what one of them cannot answer, none does."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from paramtool.models.given import Openable
from paramtool.models.model import Model


@contextmanager
def together(*models: Openable) -> Iterator[None]:
    """Raise in every process what the block raises in one, if one of `models` is sharded.

    Nothing in the block may wait for another process.

    Raises:
        ParamtoolError: its own complaint, or that of the first process that has one.
    """
    complaint: Exception | None = None
    try:
        yield
    except Exception as error:
        complaint = error
    if any(map(_is_sharded, models)):
        from paramtool.tensors.process_group import agree

        agree(complaint)
    if complaint is not None:
        raise complaint


def _is_sharded(model: Openable) -> bool:
    if isinstance(model, Model):
        return model.is_sharded
    torch = sys.modules.get("torch")  # a module is one of it, and brought it in
    if torch is None or not isinstance(model, (Mapping, torch.nn.Module)):
        return False
    from paramtool.tensors.sharding import has_sharded

    return has_sharded(model)
