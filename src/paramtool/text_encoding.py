"""The encoding of a text: UTF-8, with or without its mark; another one is named, with the way out."""

from __future__ import annotations

import shlex
from codecs import getincrementaldecoder

from paramtool.errors import ParamtoolError

_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_WITHOUT_MARK = {"x000": "UTF-32LE", "000x": "UTF-32BE", "x0x0": "UTF-16LE", "0x0x": "UTF-16BE"}
"""Where the zero bytes stand in the first two or one characters, if these are ASCII."""

_LOOKED_AT = 1 << 16
_NO_TEXT = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))


def decode(content: bytes, name: str, hint: str | None = None) -> str:
    """Return the text that `content` is in UTF-8.

    Args:
        content: the bytes of a file or stream.
        name: what to call it in messages.
        hint: what to do about bytes that are no text at all.

    Raises:
        ParamtoolError: for another encoding, by its name, and for what is not text.
    """
    wide = _wide(content)
    if wide is not None:
        raise ParamtoolError(f"{name} is in {wide}, not UTF-8", hint=_conversion(name, wide))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start
        if content[:_LOOKED_AT].translate(None, _NO_TEXT) != content[:_LOOKED_AT]:
            raise ParamtoolError(f"{name} is not UTF-8 text (byte {at})", hint=hint) from error
        line = content.count(b"\n", 0, at) + 1
        message = f"{name} is not UTF-8 but looks like Latin-1 (byte 0x{content[at]:02x} on line {line})"
        raise ParamtoolError(message, hint=_conversion(name, "ISO-8859-1")) from error


def begins_like_json(start: bytes | bytearray) -> bool:
    """Return whether a text begins as a JSON object does, after a mark of UTF-8 and white space."""
    return start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"


def _wide(content: bytes) -> str | None:
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    if marked is not None:
        return marked
    encoding = _WITHOUT_MARK.get("".join("x" if byte else "0" for byte in content[:4]))
    return encoding if encoding is not None and _is_text(content[:_LOOKED_AT], encoding) else None


def _is_text(content: bytes, encoding: str) -> bool:
    """Return whether bytes are text in a wide encoding, and do not only begin with as many zeros."""
    try:
        text = getincrementaldecoder(encoding)().decode(content)  # the last character may be cut in two
    except UnicodeDecodeError:
        return False
    return not any(ord(each) < 256 and ord(each) in _NO_TEXT for each in text)


def _conversion(name: str, encoding: str) -> str:
    file = "" if name.startswith("<") else f" {shlex.quote(name)}"
    return f"'iconv -f {encoding} -t UTF-8{file}' converts it"
