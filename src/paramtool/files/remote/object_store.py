"""Read ranges of an object in a store, ``s3://bucket/key`` or ``gs://bucket/key``, through fsspec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paramtool.errors import ParamtoolError
from paramtool.files.remote.range_request import NotThere, Range

if TYPE_CHECKING:
    from paramtool.files.remote.address import Address

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}


def read_range(address: Address, start: int, count: int) -> Range:
    """Return `count` bytes from `start` on, or as many as the object has.

    Raises:
        NotThere: if there is no such object.
        ParamtoolError: if the package for the store is missing, or the store refuses.
    """
    scheme, path = address.url.split("://", 1)
    try:
        import fsspec  # type: ignore[import-untyped]

        store = fsspec.filesystem(scheme)
    except ImportError as error:
        package = _PACKAGES[scheme]
        raise ParamtoolError(
            f"cannot read {address.shown}: this needs {package}", hint=f"pip install {package}"
        ) from error
    try:
        facts: dict[str, Any] = store.info(path)
        size = int(facts["size"])
        stop = min(start + count, size)
        data = bytes(store.cat_file(path, start=start, end=stop)) if start < stop else b""
    except FileNotFoundError as error:
        raise NotThere(f"cannot read {address.shown}: the store has no such object") from error
    except Exception as error:
        raise ParamtoolError(f"cannot read {address.shown}: {error}") from error
    if len(data) != max(0, stop - start):
        raise ParamtoolError(f"cannot read {address.shown}: the store sends other bytes than were asked for")
    return Range(data, size, str(facts.get("ETag") or facts.get("etag") or facts.get("LastModified") or ""))
