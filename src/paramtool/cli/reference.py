"""The model that ``check --same-as`` compares with, and what options do to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paramtool.cli.common_prefix import refuse_missing, without
from paramtool.models.open import open_model, open_reference

if TYPE_CHECKING:
    from paramtool.loading.prefix import NoPrefix
    from paramtool.models.model import Model
    from paramtool.place import Place


class Reference:
    """Opens what ``--same-as`` names, for one MODEL.

    ``--strip-prefix`` takes each prefix off the names of both, or of the one that has it.

    Args:
        arguments: of ``--arg-same-as``.
        strip: prefixes.
    """

    def __init__(self, arguments: Sequence[str], strip: Sequence[str]) -> None:
        self._arguments, self._strip = arguments, strip
        self._missing: dict[str, NoPrefix] = {}

    def strip(self, model: Model) -> Model:
        """Return MODEL with those of the prefixes taken off its names that it has."""
        model, self._missing = without(model, self._strip)
        return model

    def open(self, name: str, place: Place) -> Model:
        """Return the model called `name`; one that a spec names, at `place`, is a snapshot as it is.

        Raises:
            NoPrefix: for a prefix that neither this model nor MODEL has.
            CannotOpen: if there is none, or the spec may not name it.
        """
        if not place.text.is_option:
            return open_reference(name, place)
        model, missing = without(open_model(name, (), self._arguments, side="-same-as"), self._strip)
        refuse_missing(self._missing, missing)
        return model
