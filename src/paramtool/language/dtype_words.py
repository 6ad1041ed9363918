"""Other words for dtypes: ``bf16``, ``fp32``, ``torch.float32``."""

from __future__ import annotations

import re
from collections.abc import Collection

from paramtool.errors import Hint
from paramtool.suggestion import suggest

_WORDS = {
    "bf16": "bfloat16", "fp16": "float16", "f16": "float16", "half": "float16", "fp32": "float32",
    "f32": "float32", "float": "float32", "single": "float32", "fp64": "float64", "f64": "float64",
    "double": "float64", "long": "int64", "int": "int32", "short": "int16", "f8_e4m3": "float8_e4m3fn",
    "f8_e5m2": "float8_e5m2", "fp8_e4m3": "float8_e4m3fn", "fp8_e5m2": "float8_e5m2",
    "i64": "int64", "i32": "int32", "i16": "int16", "i8": "int8", "u8": "uint8",
}  # fmt: skip

_FAMILIES = {
    **dict.fromkeys(("float8", "fp8", "f8"), ("float8_e4m3fn", "float8_e5m2")),
    **dict.fromkeys(("float4", "fp4", "f4"), ("float4_e2m1fn_x2",)),
}
"""Words for several dtypes, and the usual ones of these."""

_KIND = re.compile(r"u?int[0-9]+|b?float[0-9]+|complex[0-9]+|bool")


def is_dtype_word(word: str) -> bool:
    """Return whether a word says a dtype, as torch or others write it."""
    return _KIND.fullmatch(torch_word(word)) is not None


def suggest_dtype(word: str, known: Collection[str], otherwise: str | None = None) -> Hint:
    """Return a hint with the known dtypes that `word` may mean, else `otherwise`."""
    found = torch_word(word)
    family = _FAMILIES.get(found.lower())
    if family is None:
        return suggest(found, known, otherwise)
    named = [f"'{each}'" for each in family if each in known]
    return f"did you mean {' or '.join(named)}?" if named else otherwise


def torch_word(word: str) -> str:
    """Return torch's own name of a dtype, without ``torch.``; a word that is not known as it is.

    >>> torch_word("bf16"), torch_word("torch.half"), torch_word("float32")
    ('bfloat16', 'float16', 'float32')
    """
    bare = word.strip().removeprefix("torch.")
    return _WORDS.get(bare.lower(), bare)
