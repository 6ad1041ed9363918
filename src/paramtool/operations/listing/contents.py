"""Say in one line what a checkpoint holds beside the tensors that are listed.  No torch."""

from __future__ import annotations

from collections.abc import Sequence

from paramtool.errors import shorten
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.quantities import byte_size, counted
from paramtool.records.contents import ContentRow

MOST_NAMED = 8
"""Parts that are named; of the rest the number is said."""

_PLAIN = frozenset(
    ("dict", "list", "tuple", "set", "file", "None", "collections.OrderedDict", "collections.defaultdict")
)
"""Types that say nothing beside a name."""


def told(checkpoint: Checkpoint) -> str | None:
    """Return the sentence; None where there is nothing."""
    words = named(checkpoint.contents)
    return f"{told_of(checkpoint.name)}{words}" if words else None


def told_of(name: str) -> str:
    """Return the beginning of the sentence."""
    return f"also in {name}: "


def named(contents: Sequence[ContentRow]) -> str | None:
    """Return the parts: what holds tensors first, the largest first of these; None where there is nothing.

    What plain attributes of modules hold is counted and not named.
    """
    parts = sorted(
        (each for each in contents if not _is_attribute(each)),
        key=lambda each: (not _is_large(each), -each.nbytes if _is_large(each) else 0, each.name.count(".")),
    )
    words = [_words(each) for each in parts[:MOST_NAMED]]
    if len(parts) > MOST_NAMED:
        words.append(f"{len(parts) - MOST_NAMED:,} more")
    attributes = sum(map(_is_attribute, contents))
    if attributes:
        words.append(counted(attributes, "attribute") + " of modules")
    return ", ".join(words) or None


def _is_attribute(part: ContentRow) -> bool:
    return part.kind == "attribute" and not part.tensors


def _is_large(part: ContentRow) -> bool:
    """Tell whether there are tensors in it, more than one number."""
    return part.tensors > 0 and part.value is None


def _words(part: ContentRow) -> str:
    name = shorten(part.name)
    if _is_large(part) or (part.type == "file" and part.nbytes):
        return f"{name} {byte_size(part.nbytes)}"
    if part.value is not None and "=" in part.value:
        return f"{name} ({shorten(part.value)})"
    if part.value is not None:
        return f"{name}={shorten(part.value, 32)}"
    return name if part.type in _PLAIN else f"{name} ({shorten(part.type)})"
