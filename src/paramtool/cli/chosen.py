"""The model that a command is about: named, or chosen and then told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paramtool.cli import console
from paramtool.sources.model import choose, open_spec
from paramtool.sources.spec.document import Spec
from paramtool.sources.spec.overrides import Override


def open_chosen(model: str | None, overrides: Sequence[str] | None, seed: int | None) -> Spec:
    """Return the spec of MODEL with what ``--set`` and ``--seed`` change in it.

    Raises:
        ParamtoolError: where there is none, or it or an override is wrong.
    """
    parsed = tuple(Override.parse(each) for each in overrides or ())
    choice = choose(model)
    if choice.reason:
        console.note(f"MODEL is {choice.name}, from {choice.reason}")
    spec = open_spec(choice.name, parsed)
    return spec if seed is None else replace(spec, seed=seed)
