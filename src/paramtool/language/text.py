"""Read a text of bounded size from a file, a pipe or standard input."""

from __future__ import annotations

import os
import re
import stat
import sys
from itertools import islice
from pathlib import Path

from paramtool.errors import ParamtoolError
from paramtool.language.limits import MAX_BYTES
from paramtool.place import Text
from paramtool.text_encoding import begins_like_json, decode

STDIN = "-"
LARGEST_JSON = 1 << 26
"""Bytes of a snapshot, or of the index of a checkpoint's shards."""

_MOMENT = 0.1
"""Seconds until a signal is seen, at most."""

_BY_NAME = "give a checkpoint by name"
_CHECKPOINT = re.compile(
    rb"PK[\x03\x05\x07]|\x80[\x02-\x05]|\x93NUMPY|GGUF|FUGG|\x89HDF|(?s:.{6})\0\0\{[\s\"}]"
)
"""How files that hold tensors begin: archives, pickles, and the length of a header before the header."""

_NEAR = (".yaml", ".yml", ".safetensors", ".json", ".pt", ".pth", ".bin", ".ckpt", ".py")


def read_text(name: str) -> Text:
    """Return the text of the file `name`, or of standard input for ``-``: YAML, or JSON, which may be larger.

    Raises:
        ParamtoolError: if the file cannot be read as text of bounded size.
    """
    shown = "<stdin>" if name == STDIN else name
    try:
        content = _read_stream(sys.stdin.fileno()) if name == STDIN else _read_file(Path(name))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ParamtoolError(f"cannot read {shown}: {reason}", hint=_nearby(name)) from error
    largest = _largest(content)
    if len(content) > largest:
        what = "a spec" if largest == MAX_BYTES else "JSON"
        raise ParamtoolError(f"{shown} is larger than {largest:,} bytes, the limit for {what}")
    if name == STDIN and _CHECKPOINT.match(content):
        raise ParamtoolError(f"{shown} is a checkpoint, which is not read through a pipe", hint=_BY_NAME)
    hint = _BY_NAME if name == STDIN else "is this a spec?"
    return Text(shown, decode(content, shown, hint))


def _largest(start: bytes | bytearray) -> int:
    return LARGEST_JSON if begins_like_json(start[:1024]) else MAX_BYTES


def _read_file(path: Path) -> bytes:
    if path.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    with path.open("rb") as file:
        return _read_stream(file.fileno())


def _read_stream(descriptor: int) -> bytes:
    """Read a file, or a pipe or a device, which may have no end, up to the limit and a byte more."""
    content = bytearray()
    waits = not stat.S_ISREG(os.fstat(descriptor).st_mode)
    while len(content) <= _largest(content):
        if waits:
            _wait_for(descriptor)
        more = os.read(descriptor, min(MAX_BYTES, _largest(content) + 1 - len(content)))
        if not more:
            break
        content += more
    return bytes(content)


def _wait_for(descriptor: int) -> None:
    """Wait for something to read, or for the end.

    A signal that comes after Python looked for one, and before the system waits, does not end the wait:
    Python would handle it after the next byte.  So it waits for a moment only, again and again.
    """
    from select import select

    while not select([descriptor], [], [], _MOMENT)[0]:
        pass


def _nearby(name: str) -> str | None:
    """Suggest a file of the same folder."""
    from paramtool.suggestion import nearest

    try:
        files = [each for each in islice(Path(name).parent.iterdir(), 1000) if each.suffix in _NEAR]
    except (OSError, ValueError):
        return None
    wanted = Path(name)
    same = [each for each in files if each.suffix == wanted.suffix] or files
    stems = {each.stem: each for each in same}
    near = nearest(wanted.stem, stems)
    return None if near is None or str(stems[near]) == name else f"did you mean '{stems[near]}'?"
