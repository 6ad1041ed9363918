"""The rules of `convert` as they are written, in words: what each stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TypeAlias

from paramtool.elements.dtypes import DTYPES
from paramtool.errors import BadArgument, ParamtoolError, RuleMatchedNothing, shorten
from paramtool.language.dtype_words import suggest_dtype, torch_word
from paramtool.operations.conversion.rules import (
    Cast,
    Rename,
    RenameAs,
    Rule,
    Select,
    StripPrefix,
    Tie,
    Untie,
)
from paramtool.operations.listing.selection import Selection
from paramtool.patterns import compile_pattern
from paramtool.suggestion import did_you_mean

Written: TypeAlias = Sequence[str]
"""The name of a rule, and its words: ``("rename", "^module\\.", "")``."""

SELECTORS = ("pattern", "exclude", "name", "module")
WORDS = {
    **dict.fromkeys(SELECTORS, 1), "rename": 2, "rename-from": 2, "strip-prefix": 1, "dtype": 1, "tie": 2,
    "untie": 0,
}  # fmt: skip
"""Every rule, and how many words it takes."""

_RENAMES = ("rename", "rename-from", "strip-prefix")


def read_rules(written: Sequence[Written]) -> list[Rule]:
    """Return the rules in their order.

    Selectors between two renames are one selection, as those of other commands are: several patterns are
    alternatives.  It acts where the last of them stands.

    Raises:
        BadArgument: for a word that is no rule.
        ParamtoolError: for a pattern, a dtype or a model that is not one.
    """
    for each in written:
        _check(each)
    rules: list[Rule] = []
    for _, run in groupby(written, lambda each: each[0] in _RENAMES):
        rules += _read_run(list(run))
    return rules


def _read_run(written: Sequence[Written]) -> list[Rule]:
    """Return rules among which none renames, or all of them do."""
    selectors = [index for index, each in enumerate(written) if each[0] in SELECTORS]
    rules: list[Rule] = []
    for index, each in enumerate(written):
        if each[0] not in SELECTORS:
            rules.append(_READERS[each[0]](*each[1:]))
        elif index == selectors[-1]:
            rules.append(_selection([written[number] for number in selectors]))
    return rules


def _check(each: Written) -> None:
    if isinstance(each, str) or not all(isinstance(word, str) for word in each) or not each:
        raise BadArgument(f"a rule is a tuple of words, got {each!r}", hint='e.g. ("dtype", "bfloat16")')
    if each[0] not in WORDS:
        hint = did_you_mean(each[0], WORDS) or f"use one of {', '.join(WORDS)}"
        raise BadArgument(f"there is no rule '{shorten(each[0])}'", hint=hint)
    if len(each) - 1 != WORDS[each[0]]:
        raise BadArgument(f"the rule '{each[0]}' takes {WORDS[each[0]]} words, got {len(each) - 1}")


def _selection(pending: Sequence[Written]) -> Rule:
    of = {kind: [each[1] for each in pending if each[0] == kind] for kind in SELECTORS}
    selection = Selection(
        patterns=[compile_pattern(each, option="--pattern") for each in of["pattern"]],
        exclude=[compile_pattern(each, option="--exclude") for each in of["exclude"]],
        names=of["name"],
        modules=of["module"],
    )
    return Select(selection, " ".join(f"--{each[0]} {each[1]}" for each in pending))


def _rename(pattern: str, replacement: str) -> Rule:
    compiled = compile_pattern(pattern, option="--rename")
    if not pattern:
        raise ParamtoolError("the pattern of --rename is empty")
    return Rename(compiled, replacement)


def _rename_from(a: str, b: str) -> Rule:
    from paramtool.api.diff import diff

    written = f"--rename-from {a} {b}"
    found = {row.name: row.new_name for row in diff(a, b) if row.change == "renamed"}
    names = {was: now for was, now in found.items() if now is not None}
    if not names:
        raise RuleMatchedNothing(f"{written}: nothing was renamed", hint=f"see 'paramtool diff {a} {b}'")
    return RenameAs(names, written)


def _strip_prefix(prefix: str) -> Rule:
    if not prefix:
        raise ParamtoolError("the prefix of --strip-prefix is empty")
    return StripPrefix(prefix)


def _dtype(written: str) -> Rule:
    """Read ``bfloat16``, or ``REGEX=bfloat16``."""
    pattern, equals, word = written.rpartition("=")
    dtype = torch_word(word)
    if dtype not in DTYPES:
        hint = suggest_dtype(dtype, DTYPES, "e.g. bfloat16, or 'norm=float32'")
        raise ParamtoolError(f"--dtype {written}: there is no dtype '{shorten(dtype)}'", hint=hint)
    if not equals:
        if DTYPES[dtype].kind != "float":
            hint = f"--dtype .={dtype} casts every tensor"
            raise ParamtoolError(
                f"--dtype casts floating-point tensors, and {dtype} is not for these", hint=hint
            )
        return Cast(dtype)
    if not pattern:
        raise ParamtoolError(
            f"--dtype {written}: the pattern is empty", hint=f"--dtype {dtype} casts all floats"
        )
    return Cast(dtype, compile_pattern(pattern, option="--dtype"))


_READERS: dict[str, Callable[..., Rule]] = {
    "rename": _rename,
    "rename-from": _rename_from,
    "strip-prefix": _strip_prefix,
    "dtype": _dtype,
    "tie": Tie,
    "untie": Untie,
}
