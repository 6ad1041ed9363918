"""What the names of two state_dicts differ by: ``module.``, ``_orig_mod.``, or any other prefix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.name_parts import parts

MOST_TEXTS = 4
"""Prefixes that are taken off one after the other."""

MOST_VOTES = 2000
"""Names that are looked at to find a prefix; it is then tried on all of them."""

DEEPEST = 8
"""Parts of a prefix."""

WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Modules that torch puts around another anywhere in a model."""

T = TypeVar("T")


class NoPrefix(ParamtoolError):
    """Say that no name has a prefix that is to be taken off."""


@dataclass(frozen=True)
class Prefix:
    """What some names have and others lack.

    Attributes:
        texts: what to take off, one after the other; each ends with a dot.
        is_inside: whether it is in the middle of the names, as ``_orig_mod.`` in ``0._orig_mod.weight``.
        names: those that match without it, by the names that have it.
    """

    texts: tuple[str, ...]
    is_inside: bool
    names: Mapping[str, str]

    @property
    def shown(self) -> str:
        """What it is called in messages: the prefix '_orig_mod.'."""
        texts = " and ".join(f"'{shorten(each)}'" for each in self.texts)
        return f"the prefix {texts}" if len(self.texts) == 1 and not self.is_inside else texts

    @property
    def options(self) -> tuple[str, ...]:
        """The words on the command line that take it off."""
        return tuple(word for each in self.texts for word in ("--strip-prefix", each))


def difference(longer: Collection[str], shorter: Collection[str]) -> Prefix | None:
    """Return what `longer` names have and `shorter` ones lack; None if most of neither match.

    Args:
        longer: names that nothing matches.
        shorter: those that they may match without a prefix.
    """
    known = set(shorter)
    texts, matched = _likeliest(longer, known)
    for _ in range(MOST_TEXTS - 1):
        if not texts or len(matched) == len(longer):
            break
        shorter_now = all_stripped(longer, texts) if matched else {}
        rest = [new for old, new in shorter_now.items() if old not in matched]
        more, _ = _likeliest(rest, known)
        both = _matching(longer, (*texts, *more), known) if more else {}
        if len(both) <= len(matched):
            break
        texts, matched = (*texts, *more), both
    if not texts or 2 * len(matched) < min(len(longer), len(known)):
        return None
    is_inside = not any(name.startswith(texts[0]) for name in longer)
    return Prefix(texts, is_inside, matched)


def _likeliest(names: Collection[str], known: set[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return what most of the names have before them or inside, and what matches without it."""
    votes = Counter(filter(None, (_vote(name, known) for name in islice(names, MOST_VOTES))))
    if not votes:
        return (), {}
    texts = votes.most_common(1)[0][0]
    return texts, _matching(names, texts, known)


def _matching(names: Collection[str], texts: Sequence[str], known: set[str]) -> dict[str, str]:
    """Return the names that are known without `texts`, by what they were; none where two become one."""
    try:
        return {old: new for old, new in all_stripped(names, texts).items() if new in known}
    except ParamtoolError:
        return {}


def _vote(name: str, known: set[str]) -> tuple[str, ...] | None:
    """Return what makes one name match: the shortest prefix, one part wherever it is, or torch's wrappers."""
    written = parts(name)
    for count in range(1, min(len(written), DEEPEST + 1)):
        if ".".join(written[count:]) in known:
            return (f"{'.'.join(written[:count])}.",)
    for part in dict.fromkeys(written[1:-1]):
        if ".".join(each for each in written if each != part) in known:
            return (f"{part}.",)
    found = [each for each in ("module", *WRAPPERS) if each in written[:1] or each in WRAPPERS]
    texts = tuple(f"{each}." for each in found if each in written)
    bare = name
    for text in texts:
        bare = _strip(bare, text, is_inside=not bare.startswith(text))
    return texts if len(texts) > 1 and bare in known else None


def all_stripped(names: Iterable[str], texts: Sequence[str]) -> dict[str, str]:
    """Return the names without the prefixes `texts`, by what they were.

    Each is taken off where a name begins with it; if none does, wherever it is between dots.

    Raises:
        ParamtoolError: if no name has one of them, or two names would become one.
    """
    now = {name: name for name in names}
    for text in texts:
        exact = _exact(text, now.values())
        is_inside = not any(name.startswith(exact) for name in now.values())
        now = {old: _strip(name, exact, is_inside=is_inside) for old, name in now.items()}
    seen: dict[str, str] = {}
    for old, name in now.items():
        if name in seen:
            both = f"'{shorten(seen[name])}' and '{shorten(old)}' would both be '{shorten(name)}'"
            raise ParamtoolError(f"--strip-prefix {shorten(texts[-1])}: {both}")
        seen[name] = old
    return now


def of_both(old: Collection[str], new: Collection[str]) -> tuple[str, str] | None:
    """Return the prefix of `old` names and the other one of `new`; None if most of either do not match.

    Where a name is in both as it is, these are no prefixes of everything, but two modules.
    """
    if not set(old).isdisjoint(new):
        return None
    known: dict[str, list[str]] = {}
    for name in islice(new, MOST_VOTES):
        for before, rest in _cuts(name):
            known.setdefault(rest, []).append(before)
    votes: Counter[tuple[str, str]] = Counter()
    for name in islice(old, MOST_VOTES):
        longest = next(((before, known[rest]) for before, rest in _cuts(name) if rest in known), None)
        if longest is not None and len(longest[1]) == 1:
            votes[longest[0], longest[1][0]] += 1
    if not votes:
        return None
    found = votes.most_common(1)[0][0]
    return found if 2 * _in_common(old, new, found) > max(len(old), len(new)) else None


def _cuts(name: str) -> Iterator[tuple[str, str]]:
    """Yield the prefixes of a name and what follows them, the shortest first."""
    written = parts(name)
    for count in range(1, min(len(written), DEEPEST + 1)):
        yield f"{'.'.join(written[:count])}.", ".".join(written[count:])


def times_to_strip(old: Collection[str], new: Collection[str], texts: Sequence[str]) -> int:
    """Return how often to strip `texts` from both so that more names agree; 0 if that never helps.

    What both have, as ``module.module.w`` and ``module.w``, comes off both: it takes one more turn.
    """
    same = len(set(old) & set(new))
    return next((times for times in (1, 2) if _in_common(old, new, (*texts,) * times) > same), 0)


def _in_common(old: Collection[str], new: Collection[str], texts: Sequence[str]) -> int:
    """Return how many names both have without `texts`, which are taken off those that have them.

    0 where two names would become one.
    """
    sides = [list(old), list(new)]
    for text in texts:
        for at, names in enumerate(sides):
            try:
                sides[at] = list(all_stripped(names, [text]).values())
            except NoPrefix:
                continue
            except ParamtoolError:
                return 0
    return len(set(sides[0]) & set(sides[1]))


def _exact(text: str, names: Collection[str]) -> str:
    """Return a prefix with the dot that was left out.

    Raises:
        ParamtoolError: if no name has it.
    """
    for each in dict.fromkeys((text if text.endswith(".") else f"{text}.", text)):
        if each not in ("", ".") and any(name.startswith(each) and name != each for name in names):
            return each
    dotted = text if text.endswith(".") else f"{text}."
    if dotted != "." and any(f".{dotted}" in name for name in names):
        return dotted
    first = next(iter(names), None)
    hint = f"the first name is '{shorten(first)}'" if first is not None else "it has no names"
    raise NoPrefix(f"no name has the prefix '{shorten(text)}'", hint=hint)


def _strip(name: str, text: str, *, is_inside: bool) -> str:
    if is_inside:
        while f".{text}" in name:
            name = name.replace(f".{text}", ".")
        return name
    return name.removeprefix(text) or name


def without_prefix(checkpoint: Checkpoint, texts: Sequence[str]) -> Checkpoint:
    """Return a checkpoint with the prefixes `texts` taken off its names.

    Raises:
        ParamtoolError: if no name has one of them, or two names would become one.
    """
    try:
        names = all_stripped([*checkpoint.by_name, *checkpoint.objects], texts)
    except NoPrefix as error:
        raise NoPrefix(f"{checkpoint.name}: {error.message}", hint=error.hint) from error
    tensors: tuple[Stored, ...] = tuple(replace(each, name=names[each.name]) for each in checkpoint.tensors)
    return replace(
        checkpoint, tensors=tensors,
        tied={names[name]: names[first] for name, first in checkpoint.tied.items()},
        modules=_of_paths(checkpoint.modules, texts), versions=_of_paths(checkpoint.versions, texts),
        objects=tuple(names[each] for each in checkpoint.objects),
    )  # fmt: skip


def _of_paths(said: Mapping[str, T], texts: Sequence[str]) -> dict[str, T]:
    """Return what is said of modules by their paths without the prefixes; of one path, the innermost."""
    found: dict[str, T] = {}
    for path, value in said.items():
        bare = f"{path}."
        for text in (each if each.endswith(".") else f"{each}." for each in texts):
            bare = bare[len(text) :] if bare.startswith(text) else bare.replace(f".{text}", ".")
        found[bare.removesuffix(".")] = value
    return found
