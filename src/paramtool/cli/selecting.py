"""The selection that --pattern, --exclude and --type make."""

from __future__ import annotations

from collections.abc import Sequence

from paramtool.operations.listing.selection import Selection
from paramtool.patterns import compile_pattern


def selected_by(
    pattern: Sequence[str] | None, exclude: Sequence[str] | None, type: Sequence[str] | None = None
) -> Selection:
    """Return the selection that was typed.

    Raises:
        ParamtoolError: where a pattern is no regular expression.
    """
    return Selection(
        [compile_pattern(each, option="--pattern") for each in pattern or ()],
        [compile_pattern(each, option="--exclude") for each in exclude or ()],
        type or (),
    )
