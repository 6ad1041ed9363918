"""What a comparison needs from whatever holds the elements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from paramtool.records.difference import ValueChange


class ValueComparison(Protocol):
    """Compares the elements of two models."""

    @property
    def left_out(self) -> Mapping[str, str]:
        """Why the elements of a tensor were not compared, by its name in B."""

    @property
    def without_spectrum(self) -> Mapping[str, str] | None:
        """Why the singular values of a difference are not known, by its name in B; None if nobody asked."""

    def digests(self, a: Collection[str], b: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return what is equal for tensors of A and of B exactly when their elements are."""

    def announce(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Hear the names, in A and in B, of all tensors that `change` will be asked about."""

    def change(self, a: str, b: str) -> ValueChange | None:
        """Return how far a tensor of B is from one of A, of its shape; None if they are close."""
