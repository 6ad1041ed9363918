"""What a plain scalar means: the YAML 1.2 core schema, where `no` is a string and `1e-3` a number.

PyYAML follows YAML 1.1 (`no` is False, `010` is 8, `1:30` is 90, `1e-3` is a string), so its
constructors are not used.  Source: YAML 1.2.2, section 10.3.2.
"""

from __future__ import annotations

import re

from paramtool.language.limits import MAX_INTEGER
from paramtool.language.nodes import Plain

_WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASES = {"0o": 8, "0x": 16}
_LONGEST_NUMBER = 100


def resolve(raw: str) -> Plain:
    """Return the value of a plain (unquoted) scalar.

    Raises:
        ValueError: for an integer beyond 64 bits, or a number of more than 100 characters.
    """
    if raw in _WORDS:
        return _WORDS[raw]
    if not (raw[0].isdigit() or raw[0] in "+-."):
        return raw
    if _INTEGER.fullmatch(raw):
        if len(raw) > _LONGEST_NUMBER:
            raise ValueError(f"a number of {len(raw):,} characters; at most {_LONGEST_NUMBER}")
        base = _BASES.get(raw[:2])
        value = int(raw[2:], base) if base else int(raw)
        if abs(value) > MAX_INTEGER:
            raise ValueError(f"the integer {raw} does not fit in 64 bits")
        return value
    if _FLOAT.fullmatch(raw):
        if len(raw) > _LONGEST_NUMBER:
            raise ValueError(f"a number of {len(raw):,} characters; at most {_LONGEST_NUMBER}")
        return float(raw)
    return raw
