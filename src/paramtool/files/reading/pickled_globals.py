"""The names that the pickle of a state_dict may hold, and what each of them stands for.

They are those that ``torch.load(weights_only=True)`` allows, in torch 2.13.
"""

from __future__ import annotations

from paramtool.files import safetensors_format

DTYPES = {**{name: size for name, (_, size) in safetensors_format.DTYPES.items()}, "complex128": 16}
"""torch's names of the dtypes that are read, and the bytes of an element."""

STORAGES: dict[str, str | None] = {
    "torch.storage.UntypedStorage": None,
    "torch.storage.TypedStorage": None,
    "torch.UntypedStorage": None,
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
    "torch.ComplexDoubleStorage": "complex128",
    "torch.ComplexFloatStorage": "complex64",
    "torch.QUInt8Storage": None,
    "torch.QInt8Storage": None,
    "torch.QInt32Storage": None,
    "torch.QUInt4x2Storage": None,
    "torch.QUInt2x4Storage": None,
}
"""Storages, and the dtype of what is in them; None for bytes, and for numbers that are quantized."""

CONTAINERS = frozenset(("collections.OrderedDict", "collections.Counter"))

UNREADABLE = {
    "torch._utils._rebuild_meta_tensor_no_storage": "on the meta device, without elements",
    "torch._utils._rebuild_qtensor": "quantized",
    "torch._utils._rebuild_sparse_tensor": "sparse",
    "torch._utils._rebuild_nested_tensor": "nested",
    "torch._utils._rebuild_wrapper_subclass": "of a class of its own",
    "torch._utils._rebuild_device_tensor_from_numpy": "in NumPy's form",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "of another device",
}
"""Calls that make tensors whose elements are not in a member of the archive one after the other."""

OPAQUE = frozenset(
    (
        "torch.nn.parameter.Parameter", "torch.Tensor", "torch.device", "torch.serialization._get_layout",
        "_codecs.encode", "builtins.bytearray", "builtins.set", "builtins.complex",
        "torch.per_tensor_affine", "torch.per_tensor_symmetric", "torch.per_channel_affine",
        "torch.per_channel_symmetric", "torch.per_channel_affine_float_qparams",
        "torch.complex32", "torch.quint8", "torch.qint8", "torch.qint32", "torch.quint4x2", "torch.quint2x4",
        "torch.bits1x8", "torch.bits2x4", "torch.bits4x2", "torch.bits8", "torch.bits16",
        "torch.float4_e2m1fn_x2",
        *(f"torch.{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8)),
    )
)  # fmt: skip
"""What may be named, and is no part of a tensor that is read."""
