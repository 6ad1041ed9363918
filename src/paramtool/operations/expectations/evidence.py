"""What a model can tell of itself to whoever holds it to something.  No torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from paramtool.errors import ParamtoolError
from paramtool.place import Place
from paramtool.records.parameter import Listing


class CannotTell(ParamtoolError):
    """Say that a model of this kind has no answer, and which one would."""


class Evidence(Protocol):
    """What a model can tell, found out where it is first asked for.

    Each raises CannotTell where a model of its kind has no answer.
    """

    @property
    def listing(self) -> Listing:
        """Every named tensor."""

    @property
    def statistics(self) -> Listing:
        """The same with the statistics of the values that the model begins with."""

    @property
    def sharing(self) -> Mapping[str, str]:
        """The name that stands for all names that are one tensor or overlap in memory, by each of them."""

    @property
    def unfilled(self) -> Collection[str]:
        """The names of the tensors that no rule fills."""

    @property
    def verdicts(self) -> Mapping[str, str]:
        """``none``, ``zero``, ``ok``, … for the gradient of each parameter."""

    def differences(self, snapshot: str, place: Place) -> Sequence[str]:
        """Return what differs from the model in a file, a line each."""
