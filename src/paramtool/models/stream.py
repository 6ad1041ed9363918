"""The values of a network as they are written or read: block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from paramtool.network.construction import Network
    from paramtool.tensors.fills import Fills


@dataclass(frozen=True)
class Stream:
    """The values of a network that can be written block by block, without being in memory first.

    Attributes:
        network: names and shapes, on the meta device.
        fills: what fills each tensor, by its names; None if `loaded` reads it.
        loaded: yields the elements of a stored tensor, by its first name, from one to another; None if
            `fills` says all.
        warnings: what there is to say after everything was read.
    """

    network: Network
    fills: Mapping[str, Fills] | None = None
    loaded: Callable[..., Iterator[Tensor]] | None = None
    warnings: Callable[[], list[str]] = list
