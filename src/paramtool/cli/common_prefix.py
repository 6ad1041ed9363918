"""A prefix of the names in A, in B or in both: how it is taken off, and the note that points it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from paramtool.cli import console
from paramtool.cli.typed_line import instead
from paramtool.errors import shorten

if TYPE_CHECKING:
    from paramtool.loading.prefix import NoPrefix
    from paramtool.models.model import Model


def stripped(a: Model, b: Model, strip: Sequence[str] | None) -> tuple[Model, Model]:
    """Return both models, with each prefix taken off the names of those that have it.

    Raises:
        NoPrefix: for one that neither has.
    """
    a, missing = without(a, strip or ())
    b, also_missing = without(b, strip or ())
    refuse_missing(missing, also_missing)
    return a, b


def without(model: Model, strip: Sequence[str]) -> tuple[Model, dict[str, NoPrefix]]:
    """Return the model with those of the prefixes taken off that it has, and an error for each other one."""
    from paramtool.loading.prefix import NoPrefix

    missing = {}
    for text in strip:
        try:
            model = model.without_prefix([text])
        except NoPrefix as error:
            missing[text] = error
    return model, missing


def refuse_missing(missing: Mapping[str, NoPrefix], also_missing: Mapping[str, NoPrefix]) -> None:
    """Raise the first error of a prefix that is missing in both of two models."""
    for text, error in missing.items():
        if text in also_missing:
            raise error


def tell_of_prefix(a: Model, b: Model) -> None:
    """Say so if the names of one differ from those of the other by a prefix, with the line to type."""
    old, new = ({row.name: None for row in each.listing().rows} for each in (a, b))
    removed, added = [name for name in old if name not in new], [name for name in new if name not in old]
    if not (removed and added):
        return
    from paramtool.loading.prefix import difference, of_both, times_to_strip

    for longer, shorter, names, which in ((removed, added, old, "A"), (added, removed, new, "B")):
        found = difference(longer, shorter)
        if found is not None:
            every = "all names" if len(found.names) == len(names) else f"{len(found.names):,} names"
            times = times_to_strip(old, new, found.texts)
            way = f"; {instead((), found.options * times)}" if times else ""
            console.note(f"{every} differ by {found.shown}, which {which} has{way}")
            return
    both = of_both(old, new)
    if both is not None:
        in_a, in_b = both
        is_all = all(name.startswith(in_a) for name in old) and all(name.startswith(in_b) for name in new)
        console.note(
            f"{'the' if is_all else 'most'} names have the prefix '{shorten(in_a)}' in A,"
            f" '{shorten(in_b)}' in B; {instead((), ('--strip-prefix', in_a, '--strip-prefix', in_b))}"
        )
