"""Other words for dtypes: ``bf16``, ``fp32``, ``torch.float32``."""

from __future__ import annotations

_WORDS = {
    "bf16": "bfloat16", "fp16": "float16", "f16": "float16", "half": "float16", "fp32": "float32",
    "f32": "float32", "float": "float32", "single": "float32", "fp64": "float64", "f64": "float64",
    "double": "float64", "long": "int64", "int": "int32", "short": "int16", "f8_e4m3": "float8_e4m3fn",
    "f8_e5m2": "float8_e5m2", "fp8_e4m3": "float8_e4m3fn", "fp8_e5m2": "float8_e5m2",
    "i64": "int64", "i32": "int32", "i16": "int16", "i8": "int8", "u8": "uint8",
}  # fmt: skip


def torch_word(word: str) -> str:
    """Return torch's own name of a dtype, without ``torch.``; a word that is not known as it is.

    >>> torch_word("bf16"), torch_word("torch.half"), torch_word("float32")
    ('bfloat16', 'float16', 'float32')
    """
    bare = word.strip().removeprefix("torch.")
    return _WORDS.get(bare.lower(), bare)
