"""What stands for the values of a pickle: inert records that cost little and do nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_SMALL = 1 << 32


class Broken(Exception):
    """Raised if the pickle is not a valid one."""


class EndsEarly(Broken):
    """Raised if the bytes end inside of the pickle."""


@dataclass(frozen=True)
class Name:
    """What stands for a class or function: the words it goes by."""

    words: str


class Object:
    """What stands for an object of any class: its class name, and what the pickle gives it.

    Attributes:
        words: the full name of its class, or of the function that would make it.
        arguments: what the class or function would be called with.
        state: its attributes, usually a dict; None if it has none.
        items: what is appended to it.
        entries: what is set in it by key.
    """

    __slots__ = ("arguments", "entries", "items", "state", "words")

    def __init__(self, words: str, arguments: tuple[Any, ...] = ()) -> None:
        self.words = words
        self.arguments = arguments
        self.state: Any = None
        self.items: list[Any] | None = None
        self.entries: dict[Any, Any] | None = None

    def append(self, items: Iterable[Any]) -> None:
        """Take what the pickle appends."""
        if self.items is None:
            self.items = []
        self.items.extend(items)

    def put(self, key: Any, value: Any) -> None:
        """Take what the pickle sets by key."""
        if self.entries is None:
            self.entries = {}
        self.entries[key] = value


class KnownDict(dict[Any, Any]):
    """A dict of a known class, as ``collections.OrderedDict``, whose attributes are kept."""

    words = "collections.OrderedDict"
    state: Any = None


class Members(list[Any]):
    """What a set holds; it is not hashed, since chosen keys collide."""


class Bytes(bytes):
    """Bytes, and where in the file they are; of long ones only that.

    Attributes:
        position: the byte of the file at which they begin; None if they were computed.
        size: how many they are.
    """

    position: int | None = None
    size: int = 0


@dataclass(frozen=True, eq=False)
class Room:
    """The place in a file where the bytes of a storage are; `missing` says why they cannot be read."""

    position: int
    size: int
    missing: str | None = None


@dataclass(frozen=True, eq=False)
class Storage:
    """The memory of a tensor.

    Attributes:
        dtype: of its elements; None for plain bytes.
        key: what it is called in the file.
        numel: how many elements (or bytes) it has.
        start: the element of the stored memory at which it begins; 0 but for old views.
        device: where it was, ``cpu``.
        room: where its bytes are, if the pickle itself holds them.
    """

    dtype: str | None
    key: str
    numel: int
    start: int = 0
    device: str = ""
    room: Room | None = None


@dataclass(frozen=True, eq=False)
class PickledTensor:
    """One tensor as it was pickled.

    Attributes:
        storage: its memory, or None.
        offset: the element of `storage` that is its first.
        shape, strides: as the pickle has them, unchecked.
        dtype: torch's name without ``torch.``.
        requires_grad: of a Parameter; None if the pickle does not say.
        missing: why its elements cannot be read, or None.
        parts: the tensors that it is made of, where it has no memory of its own.
        remark: what else there is to say about it, as ``scale=0.1, zero_point=0``.
        remark_type: what `remark` is about.
        is_array: whether it is an array of NumPy, which torch loads as one.
    """

    storage: Storage | None = None
    offset: Any = 0
    shape: Any = ()
    strides: Any = None
    dtype: str | None = None
    requires_grad: bool | None = None
    missing: str | None = None
    parts: tuple[PickledTensor, ...] = ()
    remark: str | None = None
    remark_type: str = ""
    is_array: bool = False


class OtherKey:
    """A key that is not hashed as Python would: tuples take forever, and chosen integers collide."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def dict_key(value: Any) -> Any:
    """Return what stands for a key of a dict."""
    is_small = isinstance(value, int) and -_SMALL <= value < _SMALL
    return value if isinstance(value, (str, bytes)) or is_small else OtherKey(value)
