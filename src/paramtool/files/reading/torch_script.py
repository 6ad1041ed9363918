"""The classes of a TorchScript archive: their code is read as text, for what they call parameters."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

from paramtool.errors import ParamtoolError
from paramtool.files.reading.open_file import OpenFile
from paramtool.files.reading.pickled_modules import Declared
from paramtool.files.reading.zip_directory import Member, read_member

MOST_CODE = 1 << 26
"""Bytes of all code together."""

_CLASS = re.compile(r"^class (\w+)\((?:Module|NamedTuple|Interface|Enum)?\):", re.MULTILINE)
_LIST = re.compile(r"^  __(parameters|buffers)__ = \[([^\]\n]*)\]", re.MULTILINE)
_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"')


def declared_classes(file: OpenFile, members: Mapping[str, Member], root: str) -> dict[str, Declared]:
    """Return what each class in the code of the archive says about its attributes, by its full name.

    Raises:
        ParamtoolError: if the code is broken or too large.
    """
    found: dict[str, Declared] = {}
    left = MOST_CODE
    start = f"{root}/code/"
    for name, member in members.items():
        if not (name.startswith(start) and name.endswith(".py")):
            continue
        text = inflated(file, member, left)
        left -= len(text)
        module = name[len(start) : -len(".py")].replace("/", ".")
        for words, declared in _classes(text.decode("utf-8", "replace")):
            found[f"{module}.{words}"] = declared
    return found


def _classes(text: str) -> list[tuple[str, Declared]]:
    pieces = _CLASS.split(text)[1:]  # name, body, name, body, …
    return [(name, _declared(body)) for name, body in zip(pieces[::2], pieces[1::2], strict=True)]


def _declared(text: str) -> Declared:
    lists = {each[1]: frozenset(_NAME.findall(each[2])) for each in _LIST.finditer(text)}
    return Declared(lists.get("parameters", frozenset()), lists.get("buffers", frozenset()))


def inflated(file: OpenFile, member: Member, most: int) -> bytes:
    """Return the bytes of a member that may be compressed, of which there may be `most`.

    Raises:
        ParamtoolError: if there are more, or they are broken.
    """
    if member.size > most:
        raise ParamtoolError(f"{file.path}: {member.name} is too large")
    content = read_member(file, member)
    if not member.compressed:
        return content
    expander = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = expander.decompress(content, most + 1)
    except zlib.error as error:
        raise ParamtoolError(f"{file.path}: {member.name} is broken, or compressed in another way") from error
    if len(found) > most or not expander.eof:
        raise ParamtoolError(f"{file.path}: {member.name} is too large, or broken")
    return found
