"""Rules as they were typed: options whose order counts, read into the nodes that a spec's ``init:`` has.

``--pattern weight --normal 0.01 --pattern bias --constant 0`` is two rules: each initializer closes
the selector before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from os.path import lexists

from paramtool.errors import ParamtoolError, Problems, shorten
from paramtool.initializers.registry.table import BUILT_IN, TABLE, Option
from paramtool.language.catalog import Catalog
from paramtool.language.nodes import Mapping, Node, Scalar
from paramtool.language.nodes import Sequence as List
from paramtool.language.option_values import read_pairs, read_value, read_word
from paramtool.language.rules import SELECTOR, read_rule
from paramtool.place import Place, Text
from paramtool.records.rule import Rule

RULES = "paramtool.rules"
"""Where the context keeps what was typed."""

_NUMBERS = re.compile(r"[-+]?(\d|\.\d|\.inf|\.nan)[-+\d.,_eExinfa ]*")
_OPTION = re.compile(r"--[a-z]|-[a-z]$")
_SELECTORS = {
    "--pattern": "pattern", "-p": "pattern", "--exclude": "exclude", "--type": "type", "-t": "type",
    "--ndim": "ndim", "--name": "name", "--module": "module", "-m": "module",
}  # fmt: skip
_WITH = "--with"
_INITIALIZERS = {each.flag: each.option for each in TABLE if each.option}
_KEYS = {**_SELECTORS, _WITH: _WITH, **{each.flag: each.name for each in TABLE if each.option}}
"""What each option stands for in a rule."""

GAINS = {
    "linear": "1", "sigmoid": "1", "tanh": repr(5 / 3), "relu": repr(2**0.5), "selu": "0.75",
    "leaky_relu": repr((2 / (1 + 0.01**2)) ** 0.5),
}  # fmt: skip
"""What ``torch.nn.init.calculate_gain`` returns for each nonlinearity."""


@dataclass(frozen=True)
class Typed:
    """One option of a rule as it was typed."""

    key: str
    value: str | None
    written: str


def split(arguments: Sequence[str]) -> tuple[list[Typed], list[str]]:
    """Return the options of rules, in order, and all other arguments.

    Raises:
        ParamtoolError: for an option without its value.
    """
    typed: list[Typed] = []
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        if word == "--":
            return typed, [*rest, word, *queue]
        option, equals, value = _parts(word)
        if option not in _KEYS:
            rest.append(word)
            continue
        known = _INITIALIZERS.get(option)
        given: str | None = value if equals else None
        if given is None and _takes_next(known, queue):
            given = queue.pop(0)
            if known is not None and _OPTION.match(given):
                raise ParamtoolError(f"{option} needs {known.metavar}, and {given} is another option")
        if known is not None and known.optional:
            _refuse_words(option, queue if given is None else [given], word if equals else option)
        may_lack = known is not None and (known.optional or not known.metavar)
        if (given is None and not may_lack) or (given == "" and option not in _SELECTORS):
            raise ParamtoolError(f"{option} needs a value", hint="see 'paramtool init --help'")
        if known is not None and given is not None:
            _check_value(option, known, given, [word] if equals else [option, given], queue)
        typed.append(Typed(_KEYS[option], given, f"{option} {given}" if given is not None else option))
    return typed, rest


def _check_value(
    option: str, known: Option, given: str, written: Sequence[str], queue: Sequence[str]
) -> None:
    """Refuse too few values and values with a name, with the line that works.

    Raises:
        ParamtoolError: for such values.
    """
    error = ParamtoolError(f"{option} takes {known.metavar}, got '{shorten(given)}'")
    if given.count(",") < known.metavar.count(","):
        # torch's uniform_(tensor, 0.1) is U(0.1, 1), which nobody means
        if queue and _NUMBERS.fullmatch(queue[0]) and len(written) > 1:
            error.mended((*written, queue[0]), (option, f"{given},{queue[0]}"))
        raise error
    initializer = _KEYS[option]
    names = {each.partition(":")[0] for each in BUILT_IN[initializer].arguments}
    if initializer != "put" and "=" in given and given.partition("=")[0] in names:
        raise error.mended(written, (_WITH, f"{initializer}:{given}"))


def _parts(word: str) -> tuple[str, str, str]:
    """Return an option, what parts it from its value, and the value: --normal=1, -p=weight and -pweight."""
    short, attached = word[:2], word[2:]
    if short in _SELECTORS and attached and not attached.startswith("="):
        return short, " ", attached
    return word.partition("=")


def _takes_next(known: Option | None, queue: list[str]) -> bool:
    if not queue:
        return False
    if known is None:
        return True
    if not known.metavar:
        return False
    return not known.optional or _NUMBERS.fullmatch(queue[0]) is not None


def _refuse_words(option: str, queue: list[str], written: str) -> None:
    """Refuse ``--kaiming-normal relu``, whose option takes a number, with the line that says the same.

    Raises:
        ParamtoolError: if a word that an argument takes, or a nonlinearity, follows.
    """
    initializer = _KEYS[option]
    words = list(takewhile(lambda word: not (word.startswith("-") or lexists(word)), queue))
    found = {word: key for word in words for key in [_argument_of(initializer, word)] if key is not None}
    if not found:
        return
    typed = (option, *takewhile(found.__contains__, words)) if written == option else (written,)
    error = ParamtoolError(f"{option} takes a number, got '{shorten(next(iter(found)))}'")
    if "gain" in found.values():
        meant: tuple[str, ...] = (option, GAINS[next(iter(found))])
    else:
        meant = (_WITH, f"{initializer}:{','.join(f'{key}={word}' for word, key in found.items())}")
    raise error.mended(typed, meant)


def _argument_of(initializer: str, word: str) -> str | None:
    """Return the argument that takes a word as its value; ``gain`` for a nonlinearity that has one."""
    for each in BUILT_IN[initializer].arguments:
        key, _, kinds = each.partition(":")
        if f"'{word}'" in kinds.partition("=")[0]:
            return key
        if key == "gain" and word in GAINS:
            return key
    return None


@dataclass(frozen=True)
class Narrowing:
    """The parameters to show, by ``--name`` and ``--module`` that no initializer follows."""

    names: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


def without_narrowing(typed: Sequence[Typed]) -> tuple[list[Typed], Narrowing]:
    """Return what was typed of rules, and the ``--name`` and ``--module`` behind the last initializer.

    Another selector behind it makes a rule that lacks its initializer, which `read_rules` reports.
    """
    last = max((index + 1 for index, each in enumerate(typed) if each.key not in SELECTOR_KEYS), default=0)
    rules, rest = typed[:last], typed[last:]
    if not all(each.key in ("name", "module") for each in rest):
        return list(typed), Narrowing()
    names, modules = (
        tuple(each.value or "" for each in rest if each.key == key) for key in ("name", "module")
    )
    return list(rules), Narrowing(names, modules)


def read_rules(
    typed: Sequence[Typed], catalog: Catalog, hint: str = "e.g. --pattern weight --normal 0.01"
) -> list[Rule]:
    """Return the rules that were typed; `hint` says what to do about a selector without initializer.

    Raises:
        ParamtoolError: for a selector without an initializer, or an initializer without a selector.
        Problems: with everything that is wrong in a rule.
    """
    rules: list[Rule] = []
    problems: list[ParamtoolError] = []
    pending: list[Typed] = []
    last: list[Typed] = []
    for at, each in enumerate(typed):
        pending.append(each)
        if each.key in SELECTOR_KEYS:
            continue
        if len(pending) == 1:
            raise _unselected(each, last, typed[at + 1 :])
        node = _node(pending)
        rule = read_rule(node, catalog, problems)
        if rule is not None:
            rules.append(rule)
        last, pending = pending, []
    if pending:
        raise _uninitialized(pending, last, hint)
    if problems:
        raise Problems(problems)
    return rules


SELECTOR_KEYS = frozenset(each.name for each in SELECTOR.arguments)


def _unselected(lone: Typed, before: Sequence[Typed], behind: Sequence[Typed]) -> ParamtoolError:
    """Return the error for an initializer without a selector.

    After another rule it is likely meant for the same parameters, before a selector for those.
    """
    error = ParamtoolError(
        f"{lone.written} has no selector before it", hint=f"--pattern . {lone.written} fills every parameter"
    )
    selector = before[:-1] or list(takewhile(lambda each: each.key in SELECTOR_KEYS, behind))
    if not selector:
        return error
    words = _words([lone]) if before else _words([lone, *selector])
    return error.mended(words, _words([*selector, lone]))


def _uninitialized(pending: Sequence[Typed], before: Sequence[Typed], hint: str) -> ParamtoolError:
    """Return the error for selectors at the end; conditions alone are likely meant for the rule before."""
    message = f"{pending[-1].written} selects parameters, but no initializer follows it"
    keys = {each.key for each in before}
    if not before or any(each.key in keys or each.key == "pattern" for each in pending):
        return ParamtoolError(message, hint=hint)
    error = ParamtoolError(message, hint="the initializer comes last in its rule")
    return error.mended(_words([before[-1], *pending]), _words([*pending, before[-1]]))


def _words(typed: Iterable[Typed]) -> list[str]:
    return [word for each in typed for word in each.written.split(" ", 1)]


def _node(typed: Sequence[Typed]) -> Mapping:
    """Write one rule as the mapping that a spec has for it."""
    text = Text(" ".join(shorten(each.written, 100) for each in typed), "", is_option=True)
    rule = Mapping(text, 1, 1)
    for each in typed:
        name, node = _entry(each, rule.place)
        if any(key.raw == name for key, _ in rule.entries):
            raise ParamtoolError(
                f"{each.written} appears twice in one rule", hint="a rule ends with its initializer"
            )
        rule.entries.append((Scalar(text, 1, 1, name, name), node))
    return rule


def _entry(each: Typed, place: Place) -> tuple[str, Node]:
    """Return the key and the value that an option stands for in a rule."""
    value = each.value or ""
    if each.key == _WITH:
        name, _, given = value.partition(":")
        return name, _mapping(read_pairs(given, place) if given else (), place)
    if each.key in SELECTOR_KEYS and each.key != "ndim":
        return each.key, Scalar(place.text, 1, 1, value, value)
    if each.key == "put":
        index, equals, given = value.rpartition("=")
        if not equals:
            raise ParamtoolError(f"--put takes {_INITIALIZERS['--put'].metavar}, got '{shorten(value)}'")
        pairs = (("index", _values(index, place)), ("value", read_word(given.strip(), place)))
        return each.key, _mapping(pairs, place)
    return each.key, _values(value, place) if each.value is not None else read_value("", place)


def _mapping(pairs: Iterable[tuple[str, Node]], place: Place) -> Mapping:
    """Write arguments as the mapping that a spec has for them."""
    arguments = Mapping(place.text, 1, 1)
    for key, node in pairs:
        if arguments.get(key) is not None:
            raise ParamtoolError(f"'{key}' appears twice", place)
        arguments.entries.append((Scalar(place.text, 1, 1, key, key), node))
    return arguments


def _values(given: str, place: Place) -> Node:
    """Read a value, or values with commas between them, in brackets or without."""
    if given.startswith("["):
        return read_value(given, place)
    parts = [read_word(part.strip(), place) for part in given.split(",")]
    return parts[0] if len(parts) == 1 else List(place.text, 1, 1, parts)
