"""Request a range of bytes from a server, bounded in size and time, with one retry.  RFC 9110, section 14."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
from dataclasses import dataclass
from email.message import Message
from functools import cache
from typing import TYPE_CHECKING
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from paramtool.errors import ParamtoolError
from paramtool.files.remote.redirection import Redirections

if TYPE_CHECKING:
    from paramtool.files.remote.address import Address

TIMEOUT = 20.0
"""Seconds to wait for the next byte."""

SLOWEST = 1 << 15
"""Bytes per second that a response must reach on average, after the first `TIMEOUT` seconds."""

_AGAIN = (408, 429, 500, 502, 503, 504)
_PAUSE = 1.0
_LONGEST_PAUSE = 10.0
_PIECE = 1 << 16
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")


class NotThere(ParamtoolError):
    """The server does not have the file."""


class _Lost(Exception):
    """The connection broke, or the server was busy: a retry may succeed."""

    def __init__(self, reason: str, pause: float = _PAUSE) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True)
class Range:
    """A response.

    Attributes:
        data: the bytes; fewer than requested only at the end of the file.
        size: of the whole file, in bytes.
        version: changes when the file does: its entity tag, or its date.
    """

    data: bytes
    size: int
    version: str


def request_range(address: Address, start: int, count: int) -> Range:
    """Return `count` bytes from `start` on, or as many as the file has.

    Raises:
        NotThere: if the server has no such file.
        ParamtoolError: if it refuses, does not support ranges, or sends anything but the requested bytes.
    """
    try:
        try:
            return _asked(address, start, count)
        except _Lost as lost:
            time.sleep(lost.pause)
            return _asked(address, start, count)
    except _Lost as lost:
        raise ParamtoolError(f"cannot read {address.shown}: {lost}") from lost


def _asked(address: Address, start: int, count: int) -> Range:
    headers = {
        "Range": f"bytes={start}-{start + count - 1}",
        "Accept-Encoding": "identity",
        "User-Agent": "paramtool",
        **address.secret,
    }
    deadline = time.monotonic() + TIMEOUT + count / SLOWEST
    try:
        with _opener().open(Request(address.url, headers=headers), timeout=TIMEOUT) as reply:
            return _answer(address, reply, start, count, deadline)
    except urllib.error.HTTPError as error:
        with error:
            return _refused(address, error, start)
    except urllib.error.URLError as error:
        if isinstance(error.reason, (OSError, http.client.HTTPException)):
            raise _Lost(_words(error.reason)) from error
        raise ParamtoolError(f"cannot read {address.shown}: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Lost(_words(error)) from error
    except ValueError as error:  # what urllib says of a URL
        raise ParamtoolError(f"cannot read {address.shown}: {error}") from error


def _answer(
    address: Address, reply: http.client.HTTPResponse, start: int, count: int, deadline: float
) -> Range:
    shown, headers = address.shown, reply.headers
    if reply.status != 206:
        raise ParamtoolError(
            f"cannot read {shown}: the server gives no ranges of files, so all of it would be downloaded",
            hint="download it yourself, and give the file",
        )
    if headers.get("Content-Encoding", "identity") != "identity":
        raise ParamtoolError(f"cannot read {shown}: the server packs what it sends, which was not asked for")
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if found is None:
        raise ParamtoolError(f"cannot read {shown}: the server does not say which bytes it sends")
    first, last, size = map(int, found.groups())
    if first != start or last != min(start + count, size) - 1:
        raise ParamtoolError(f"cannot read {shown}: the server sends other bytes than were asked for")
    data = _body(shown, reply, last - first + 1, deadline)
    return Range(data, size, headers.get("ETag") or headers.get("Last-Modified") or "")


def _body(shown: str, reply: http.client.HTTPResponse, count: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) <= count:
        more = reply.read1(min(_PIECE, count + 1 - len(data)))
        if not more:
            break
        data += more
        if time.monotonic() > deadline:
            raise ParamtoolError(f"cannot read {shown}: the server is too slow")
    if len(data) > count:
        raise ParamtoolError(f"cannot read {shown}: the server sends more than was asked for")
    if len(data) < count:
        raise _Lost("the connection broke off")
    return bytes(data)


def _refused(address: Address, error: urllib.error.HTTPError, start: int) -> Range:
    shown, code = address.shown, error.code
    if code == 416 and start == 0:
        return Range(b"", 0, "")
    if code in (404, 410):
        raise NotThere(f"cannot read {shown}: the server has no such file ({code})")
    if code in (401, 403):
        is_hub = shown.startswith("hf://")
        hint = "set HF_TOKEN, or accept the terms on the page of the repository" if is_hub else None
        raise ParamtoolError(f"cannot read {shown}: the server refuses it ({code})", hint=hint)
    if code in _AGAIN:
        raise _Lost(f"the server answers {code} {error.reason}", _pause(error.headers))
    if "infinite loop" in error.msg:
        raise ParamtoolError(f"cannot read {shown}: it leads from one address to the next without an end")
    raise ParamtoolError(f"cannot read {shown}: the server answers {code} {error.reason}")


def _pause(headers: Message) -> float:
    wanted = headers.get("Retry-After", "")
    return min(float(wanted), _LONGEST_PAUSE) if wanted.isdecimal() and len(wanted) < 9 else _PAUSE


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"the server says nothing for {TIMEOUT:.0f} seconds"
    if isinstance(error, http.client.HTTPException):
        return "the server does not speak HTTP"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@cache
def _opener() -> OpenerDirector:
    """Return an opener for HTTP and HTTPS only, with the proxies of the environment.

    It is cached: loading the certificates takes longer than most requests.
    """
    opener = OpenerDirector()
    for handler in (
        ProxyHandler, HTTPHandler, HTTPSHandler, HTTPErrorProcessor, HTTPDefaultErrorHandler, Redirections
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener
