"""The names in a pickle that stand for data we know; any other is the name of an opaque object."""

from __future__ import annotations

from paramtool.files import safetensors_format

_PACKED = {f"{sign}int{bits}": 1 for sign in ("", "u") for bits in range(1, 8)} | {
    "bits1x8": 1, "bits2x4": 1, "bits4x2": 1, "bits8": 1, "bits16": 2, "float4_e2m1fn_x2": 1,
}  # fmt: skip
_QUANTIZED = {"qint8": 1, "quint8": 1, "qint32": 4, "quint4x2": 1, "quint2x4": 1}
_COMPLEX = {"complex128": 16, "complex32": 4, "bcomplex32": 4}

DTYPES = {name: size for name, (_, size) in safetensors_format.DTYPES.items()} | {
    **_COMPLEX, **_PACKED, **_QUANTIZED,
}  # fmt: skip
"""torch's names of the dtypes, and the bytes of an element."""

VALUELESS = {
    **dict.fromkeys(_PACKED, "of a packed dtype"),
    **dict.fromkeys(_QUANTIZED, "quantized"),
    **dict.fromkeys(("complex32", "bcomplex32"), "of a dtype without arithmetic"),
}
"""Dtypes whose elements are not read, and why."""

_STORAGES: dict[str, str | None] = {
    "UntypedStorage": None,
    "TypedStorage": None,
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "QUInt8Storage": "quint8",
    "QInt8Storage": "qint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
}
STORAGES = {f"{room}.{name}": dtype for name, dtype in _STORAGES.items() for room in ("torch", "torch.cuda")}
STORAGES |= {"torch.storage.UntypedStorage": None, "torch.storage.TypedStorage": None}
"""Storages, and the dtype of what is in them; None for bytes."""

DICTS = frozenset(
    ("collections.OrderedDict", "collections.Counter", "collections.defaultdict", "builtins.dict")
)
SETS = frozenset(("builtins.set", "builtins.frozenset"))

PARAMETERS = frozenset(
    (
        "torch.nn.parameter.Parameter",
        "torch.nn.Parameter",
        "torch.autograd.variable.Variable",
        "torch.autograd.Variable",
    )
)
"""Classes that torch before 0.4 pickled around a tensor."""

UNINITIALIZED = frozenset(
    ("torch.nn.parameter.UninitializedParameter", "torch.nn.parameter.UninitializedBuffer")
)

OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg", "UserDict": "collections"}
"""Modules of Python 2, and what they are called now."""
