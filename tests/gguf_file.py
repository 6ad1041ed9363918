"""Write GGUF files of any byte order, as the format's document says."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

STRING, ARRAY = 8, 9


def text(value: str, order: str) -> bytes:
    """Return a text with its length."""
    return struct.pack(f"{order}Q", len(value.encode())) + value.encode()


def gguf(
    tensors: Sequence[tuple[str, Sequence[int], int, bytes]],
    metadata: Mapping[str, tuple[int, bytes]] = {},
    *,
    order: str = "<",
    version: int = 3,
    magic: bytes = b"GGUF",
    alignment: int = 32,
) -> bytes:
    """Return a file with tensors of (name, sizes in the file's order, type, bytes)."""
    head = magic + struct.pack(f"{order}IQQ", version, len(tensors), len(metadata))
    for key, (kind, value) in metadata.items():
        head += text(key, order) + struct.pack(f"{order}I", kind) + value
    data = b""
    for name, sizes, kind, content in tensors:
        head += text(name, order) + struct.pack(f"{order}I{len(sizes)}Q", len(sizes), *sizes)
        head += struct.pack(f"{order}IQ", kind, len(data))
        data += content + b"\0" * (-len(content) % alignment)
    return head + b"\0" * (-len(head) % alignment) + data
