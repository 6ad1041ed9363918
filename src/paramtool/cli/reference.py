"""The model that ``check --same-as`` compares with, and what options do to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paramtool.loading.prefix import NoPrefix
from paramtool.models.open import open_model, open_reference

if TYPE_CHECKING:
    from paramtool.models.model import Model
    from paramtool.place import Place


class Reference:
    """Opens what ``--same-as`` names, for one MODEL.

    ``--strip-prefix`` takes prefixes off the names of both, or of the one that has them.

    Args:
        arguments: of ``--arg-same-as``.
        strip: prefixes.
    """

    def __init__(self, arguments: Sequence[str], strip: Sequence[str]) -> None:
        self._arguments, self._strip = arguments, strip
        self._missing: NoPrefix | None = None

    def strip(self, model: Model) -> Model:
        """Return MODEL with the prefixes taken off its names; itself if no name has them."""
        if not self._strip:
            return model
        try:
            return model.without_prefix(self._strip)
        except NoPrefix as error:
            self._missing = error
            return model

    def open(self, name: str, place: Place) -> Model:
        """Return the model called `name`; one that a spec names, at `place`, is a snapshot as it is.

        Raises:
            NoPrefix: if neither this model nor MODEL has the prefixes.
            CannotOpen: if there is none, or the spec may not name it.
        """
        if not place.text.is_option:
            return open_reference(name, place)
        model = open_model(name, (), self._arguments, side="-same-as")
        if not self._strip:
            return model
        try:
            return model.without_prefix(self._strip)
        except NoPrefix:
            if self._missing is not None:
                raise self._missing from None
            return model
