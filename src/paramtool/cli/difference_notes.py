"""What `diff` says on stderr: what is not compared, and which values are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paramtool.cli import console
from paramtool.errors import CannotAnswer
from paramtool.models.model import Model
from paramtool.quantities import and_more


def tell_of_initial_values(*models: Model) -> None:
    """Say so if the values of one model are read from a file, and those of the other are initial ones."""
    origins = [each.origin_of_values() for each in models]
    if None not in origins:
        return
    for model, origin in zip(models, origins, strict=True):
        if origin is not None:
            console.note(f"the values of {model.name} {origin}; --weights FILE loads others")


def tell_of_what_is_left_out(*models: Model) -> None:
    """Say which kinds of tensors a model does not list."""
    from paramtool.operations.comparison.differences import left_out

    for model in models:
        kinds = {"buffer": "buffers", "tensor": "plain tensors"}
        missing = " and ".join(kinds[kind] for kind in sorted(left_out(model.listing())))
        if missing:
            console.note(f"{model.name} does not list its {missing}, so they are not compared")


def tell_of_what_is_uncompared(names: Sequence[str], *, is_answer: bool) -> None:
    """Say whose values were not compared; without another difference there is no answer.

    Raises:
        CannotAnswer: since the values that were not read may differ.
    """
    if not names:
        return
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    message = f"the values of '{names[0]}'{more} cannot be read, so they are not compared"
    if not is_answer:
        raise CannotAnswer(message, hint="--exclude leaves tensors out")
    console.note(message)


def tell_of_spectra(reasons: Mapping[str, str]) -> None:
    """Say why the singular values of some differences are not known."""
    if reasons:
        name, reason = next(iter(reasons.items()))
        console.note(f"no spectrum of '{name}': {reason}{and_more(len(reasons) - 1)}")
