"""Did you mean: the nearest known word to one that is not known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice

from paramtool.audience import worded

LONGEST_WORD = 100  # difflib is quadratic in the length of the untrusted word
MOST_WORDS = 1000  # and takes 40 µs for each word that it knows


FIELD_WORDS = {
    **dict.fromkeys(("bytes", "size", "sizes", "memory", "mem", "mb", "nbyte"), "nbytes"),
    **dict.fromkeys(("params", "parameters", "elements", "count", "n", "num", "numels", "total"), "numel"),
    **dict.fromkeys(("learnable", "grad", "requires_gradient", "requires-grad"), "requires_grad"),
    **dict.fromkeys(("layer", "path", "key"), "name"),
    **dict.fromkeys(("class", "module_type", "kind"), "type"),
    **dict.fromkeys(("dims", "dim", "shapes"), "shape"),
    **dict.fromkeys(("dtypes", "precision"), "dtype"),
    **dict.fromkeys(("average", "avg", "mu"), "mean"),
    **dict.fromkeys(("stddev", "sigma", "stdev", "var", "variance"), "std"),
    **dict.fromkeys(("l2", "l2norm", "magnitude"), "norm"),
    **dict.fromkeys(("minimum",), "min"),
    **dict.fromkeys(("maximum",), "max"),
    **dict.fromkeys(("nans",), "nan"),
    **dict.fromkeys(("infs", "infinity"), "inf"),
    **dict.fromkeys(("zero", "sparsity"), "zeros"),
    **dict.fromkeys(("hist",), "histogram"),
    **dict.fromkeys(("value",), "values"),
}
"""What people type for a field of a row, and the field that they mean."""


def nearest_field(word: str, known: Iterable[str]) -> str | None:
    """Return the known field that `word` means, or the nearest to it; None if none is near."""
    fields = list(known)
    meant = FIELD_WORDS.get(word.lower())
    if meant == "requires_grad" and "trainable" in fields:
        meant = "trainable"
    return meant if meant in fields else nearest(word, fields)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word nearest to `word`, or None if none is near."""
    if len(word) > LONGEST_WORD:
        return None
    from difflib import get_close_matches

    by_lower = {name.lower(): name for name in islice(known, MOST_WORDS) if len(name) <= LONGEST_WORD}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return ``did you mean 'Linear'?`` for the known word nearest to `word`, or None."""
    near = nearest(word, known)
    return None if near is None else f"did you mean '{near}'?"


def suggest(word: str, known: Collection[str], otherwise: str | None = None) -> Callable[[], str | None]:
    """Return a hint that is looked for when it is read: `did_you_mean`, else `otherwise`."""
    return lambda: did_you_mean(word, known) or otherwise


def hint_of_names(names: Sequence[str]) -> str:
    """Return how many names there are, and the first of them."""
    if len(names) < 2:
        return f"the only name is '{names[0]}'" if names else "there are no names"
    return f"there are {len(names):,} names, the first is '{names[0]}'"


def hint_of_module(path: str, modules: Sequence[str], names: Collection[str]) -> str:
    """Return what to type for a module `path` that there is not.

    Args:
        path: what was typed: nearly a path, the name of a tensor, or Python, as ``net[0]``.
        modules: the paths that there are.
        names: those of the tensors.
    """
    if path in names:
        return f"it is a tensor; {worded('--pattern', 'the pattern')} '^{path}$' lists it"
    as_path = path.replace("[", ".").replace("]", "")
    for each in (as_path, as_path.partition(".")[2]):
        if each in modules and each:
            return f"did you mean '{each}'?"
    return did_you_mean(path, modules) or f"there are {', '.join(modules[:5]) or 'none'}"
