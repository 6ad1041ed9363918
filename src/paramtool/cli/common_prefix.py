"""A prefix that the names of A, of B or of both have: taken off, and pointed out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paramtool.cli import console
from paramtool.cli.typed_line import instead

if TYPE_CHECKING:
    from paramtool.models.model import Model


def stripped(a: Model, b: Model, strip: Sequence[str] | None) -> tuple[Model, Model]:
    """Return both models, with each prefix taken off the names of those that have it.

    Raises:
        NoPrefix: for one that neither has.
    """
    from paramtool.loading.prefix import NoPrefix

    for text in strip or ():
        missing = []
        both = [a, b]
        for at, model in enumerate(both):
            try:
                both[at] = model.without_prefix([text])
            except NoPrefix as error:
                missing.append(error)
        if len(missing) == len(both):
            raise missing[0]
        a, b = both
    return a, b


def tell_of_prefix(a: Model, b: Model) -> None:
    """Say so if the names of one differ from those of the other by a prefix, with the line to type."""
    old, new = ({row.name: None for row in each.listing().rows} for each in (a, b))
    removed, added = [name for name in old if name not in new], [name for name in new if name not in old]
    if not (removed and added):
        return
    from paramtool.loading.prefix import difference, times_to_strip

    for longer, shorter, names, which in ((removed, added, old, "A"), (added, removed, new, "B")):
        found = difference(longer, shorter)
        if found is not None:
            every = "all names" if len(found.names) == len(names) else f"{len(found.names):,} names"
            times = times_to_strip(old, new, found.texts)
            way = f"; {instead((), found.options * times)}" if times else ""
            console.note(f"{every} differ by {found.shown}, which {which} has{way}")
            return
