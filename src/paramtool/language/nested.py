"""What reading one kind of node needs of the reader of all kinds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from paramtool.errors import ParamtoolError
from paramtool.language.catalog import Catalog
from paramtool.language.nodes import Node
from paramtool.language.tree import Node as Tree


class ReadsNodes(Protocol):
    """Reads nodes within nodes; what is wrong in one does not keep its neighbours from being read."""

    @property
    def catalog(self) -> Catalog:
        """What torch has."""

    def module(self, node: Node, tensors: tuple[str, ...] = ()) -> Tree | None:
        """Return the tree of a module node, or None for one that is wrong and was reported.

        `tensors` names the tensor constructs that are allowed as well.
        """

    def report(self, error: ParamtoolError) -> None:
        """Keep an error beside which reading goes on."""

    @property
    def names(self) -> Collection[str]:
        """Every name that a module node may have here."""
