"""Match the arguments that a spec gives with what a signature takes, by position or by name."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Sequence_

from paramtool.errors import Hint, ParamtoolError, shorten
from paramtool.language.dtype_words import suggest_dtype
from paramtool.language.nodes import Mapping, Node, Scalar, Sequence, describe, is_nothing
from paramtool.language.signature import Argument, Signature
from paramtool.language.tree import Value
from paramtool.suggestion import did_you_mean, nearest, suggest

HARDWARE = ("device", "device_ids", "output_device", "process_group")
"""Arguments of torch that a spec has no say in."""

_AS_IN = {"quantity": "124M", "size": "500MB or 476MiB"}
_NOT_FINITE = {
    **dict.fromkeys(("nan", "+nan", "-nan"), ".nan"),
    **dict.fromkeys(("inf", "+inf", "infinity", "+infinity"), ".inf"),
    **dict.fromkeys(("-inf", "-infinity"), "-.inf"),
}
"""How Python and other tools write such numbers, and how YAML does."""

_SAID = {
    "int": "an int", "float": "a float", "bool": "true or false", "str": "a string", "dtype": "a dtype",
    "tensor": "a tensor", "module": "a module", "name": "a name", "regex": "a regular expression",
    "quantity": "a count", "size": "a size",
}  # fmt: skip
"""How messages name types."""

_YES_AND_NO = ("yes", "no", "on", "off", "y", "n")


def bind(
    signature: Signature,
    given: Node | None,
    read: Callable[[Node, Argument], Value],
    scalar: Argument | None = None,
) -> tuple[dict[str, Value], list[ParamtoolError]]:
    """Return the arguments by name, and everything that is wrong with them.

    Args:
        signature: what is accepted.
        given: a mapping (by name), a list (by position), a scalar (one) or nothing.
        read: makes a value of a node for an argument; raises ParamtoolError.
        scalar: the argument that a lone scalar stands for, where it is not the first.
    """
    problems: list[ParamtoolError] = []
    pairs = _pairs(signature, given, scalar, problems)
    values: dict[str, Value] = {}
    for argument, node in pairs:
        try:
            values[argument.name] = read(node, argument)
        except ParamtoolError as error:
            problems.append(error)
    return values, problems


def fits(signature: Signature, given: Node | None) -> bool:
    """Tell whether `signature` has the names, or as many positions, as `given` uses."""
    if isinstance(given, Mapping):
        return all(signature.argument(key.raw) for key, _ in given.entries)
    return not isinstance(given, Sequence) or len(given.items) <= len(signature.positional)


def missing(signature: Signature, names: set[str], node: Node) -> ParamtoolError | None:
    """Return the error for required arguments that are not among `names`, or None.

    One that is there and misspelt is not missing as well.
    """
    absent = [each.name for each in signature.arguments if each.required and each.name not in names]
    if absent:
        known = [each.name for each in signature.arguments]
        meant = {nearest(name, known) for name in names if signature.argument(name) is None}
        absent = [name for name in absent if name not in meant]
    if not absent:
        return None
    message = f"{signature.name} lacks {' and '.join(repr(name) for name in absent)}"
    return ParamtoolError(message, node.place, lambda: f"it is {signature}")


def mismatch(owner: str, argument: Argument, node: Node, dtypes: Sequence_[str] = ()) -> ParamtoolError:
    """Return the error for a value of the wrong type; a hint may name one of `dtypes`."""
    message = f"'{argument.name}' of {owner} must be {in_words(argument.type)}, got {describe(node)}"
    word = node.value if isinstance(node, Scalar) else None
    hint: Hint = None
    if argument.type == "bool" and str(word).lower() in _YES_AND_NO:
        hint = "write true or false"
    elif argument.type in _AS_IN:
        hint = f"e.g. {_AS_IN[argument.type]}"
    elif isinstance(word, str) and word.lower() in _NOT_FINITE and "float" in argument.type:
        from paramtool.initializers.registry.table import RANDOM

        if owner in RANDOM:
            return ParamtoolError(f"'{argument.name}' of {owner} must be finite, got '{word}'", node.place)
        meant = _NOT_FINITE[word.lower()]
        error = ParamtoolError(message, node.place, f"write {meant}, as in YAML")
        return error.mended(word, meant) if node.place.text.is_option else error
    elif isinstance(word, str):
        words = [each.strip(" '") for each in argument.type.split("|")]
        if "dtype" in words:
            hint = suggest_dtype(word, dtypes, "e.g. float32 or bfloat16")
        elif len(words) == 1 and argument.type.startswith("'") and node.place.text.is_option:
            return ParamtoolError(message, node.place).mended(word, words)
        else:
            hint = suggest(word, words)
    return ParamtoolError(message, node.place, hint)


def in_words(notation: str) -> str:
    """Return a type in words: ``a float``, ``a dtype or None``, ``'tanh' or 'relu'``.

    A type with brackets stays as it is written.
    """
    if any(each in notation for each in "[("):
        return notation
    alternatives = [each.strip() for each in notation.split("|")]
    *most, last = [_SAID.get(each, each) for each in alternatives]
    return f"{', '.join(most)} or {last}" if most else last


def _pairs(
    signature: Signature, given: Node | None, scalar: Argument | None, problems: list[ParamtoolError]
) -> list[tuple[Argument, Node]]:
    if given is None or is_nothing(given):
        return []
    if isinstance(given, Mapping):
        return _named(signature, given, problems)
    positional = signature.positional
    if isinstance(given, Scalar) and scalar is not None:
        positional = (scalar,)
    nodes = given.items if isinstance(given, Sequence) else [given]
    if len(nodes) > len(positional):
        count = f"{len(positional)} argument{'' if len(positional) == 1 else 's'} by position"
        message = (
            f"{signature.name} takes {'no arguments' if not signature.arguments else 'at most ' + count}"
        )
        place = nodes[len(positional)].place
        problems.append(ParamtoolError(f"{message}, got {len(nodes)}", place, lambda: f"it is {signature}"))
    return list(zip(positional, nodes, strict=False))


def _named(
    signature: Signature, given: Mapping, problems: list[ParamtoolError]
) -> list[tuple[Argument, Node]]:
    pairs = []
    for key, node in given.entries:
        argument = signature.argument(key.raw)
        if argument is None:
            problems.append(_no_argument(signature, key))
        else:
            pairs.append((argument, node))
    return pairs


def _no_argument(signature: Signature, key: Scalar) -> ParamtoolError:
    def hint() -> str:
        if key.raw in HARDWARE:
            return "a spec does not choose hardware"
        return did_you_mean(key.raw, [each.name for each in signature.arguments]) or f"it is {signature}"

    return ParamtoolError(f"{signature.name} has no argument '{shorten(key.raw)}'", key.place, hint)
