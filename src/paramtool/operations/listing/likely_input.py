"""An input that a model is likely to take, for hints: its first layer says of what size.  No torch."""

from __future__ import annotations

from collections.abc import Iterable

from paramtool.audience import worded
from paramtool.records.parameter import ParameterRow

USUAL = "2,4"
_IMAGES = {"Conv1d": "2,{},100", "Conv2d": "1,{},224,224", "Conv3d": "1,{},16,112,112"}
_CHANNELS = 3
_SEQUENCES = ("RNN", "LSTM", "GRU")


def likely_input(rows: Iterable[ParameterRow]) -> str:
    """Return an input as ``--input`` takes it: ``1,3,224,224`` for a first layer that is a Conv2d."""
    first = next((row for row in rows if row.is_parameter), None)
    if first is None:
        return USUAL
    kinds = [kind.removeprefix("Lazy") for kind in (*first.bases, first.type or "")]
    shape = first.shape if first.shape is not None and len(first.shape) > 1 else None
    for kind in kinds:
        if kind in _IMAGES:
            return _IMAGES[kind].format(shape[1] if shape else _CHANNELS)
        if shape and kind == "Embedding":
            return f"2,16,randint={shape[0]}"
        if shape and kind == "Linear":
            return f"2,{shape[1]}"
        if shape and kind in _SEQUENCES:
            return f"2,16,{shape[1]}"
    return USUAL


def how_to_give(rows: Iterable[ParameterRow], *, in_spec: bool, argument: str = "inputs=[...]") -> str:
    """Return what to write so that a model has an input.

    Args:
        rows: its parameters.
        in_spec: whether it is a spec, which may have an ``input:``.
        argument: what a caller in Python writes; empty if there is nothing.
    """
    likely = likely_input(rows)
    typed = worded(f"--input {likely}", argument)
    if not in_spec:
        return f"e.g. {typed}" if typed else "a spec has an input:"
    sizes, randint, high = likely.partition(",randint=")
    shape = f"shape: [{', '.join(sizes.split(','))}]"
    written = f"'input: {{{shape}{f', fill: randint, high: {high}' if randint else ''}}}' in the spec"
    return f"{written}, or {typed}" if typed else written
