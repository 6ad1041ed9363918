"""What MODEL names: a spec in a file or on standard input, or the default of this folder."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from paramtool.errors import ParamtoolError
from paramtool.place import Text
from paramtool.records.rule import Rule
from paramtool.sources.spec.catalog import Catalog, shipped
from paramtool.sources.spec.document import Spec, read_spec
from paramtool.sources.spec.limits import MAX_BYTES
from paramtool.sources.spec.overrides import Override
from paramtool.sources.spec.rules import read_recipe

DEFAULT = "model.yaml"
VARIABLE = "PARAMTOOL_MODEL"
STDIN = "-"
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Choice:
    """Which model is meant, and by what it was chosen where nobody named it."""

    name: str
    reason: str | None = None


def choose(given: str | None) -> Choice:
    """Return the model that was given, else that of ``$PARAMTOOL_MODEL``, else ``model.yaml``.

    Raises:
        ParamtoolError: where none of these is there.
    """
    if given == "":
        raise ParamtoolError("MODEL is empty", hint="leave it out for model.yaml")
    if given is not None:
        return Choice(given)
    if os.environ.get(VARIABLE):
        return Choice(os.environ[VARIABLE], f"${VARIABLE}")
    if Path(DEFAULT).is_file():
        return Choice(DEFAULT, "the current folder")
    raise ParamtoolError(f"no MODEL given, and no {DEFAULT} here", hint=f"name one, or set {VARIABLE}")


def open_spec(name: str, overrides: tuple[Override, ...] = ()) -> Spec:
    """Return the spec in the file `name`, or on standard input for ``-``.

    Raises:
        ParamtoolError: where the file cannot be read as text of bounded size.
        Problems: with everything that is wrong in it.
    """
    return read_spec(_read_text(name), spec_catalog(), overrides)


def open_recipe(name: str) -> tuple[Rule, ...]:
    """Return the rules in the recipe file `name`.

    Raises:
        ParamtoolError: where the file cannot be read as text of bounded size.
        Problems: with everything that is wrong in it.
    """
    return read_recipe(_read_text(name), spec_catalog())


def _read_text(name: str) -> Text:
    shown = "<stdin>" if name == STDIN else name
    try:
        content = _read_stream(sys.stdin.fileno()) if name == STDIN else _read_file(Path(name))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ParamtoolError(f"cannot read {shown}: {reason}", hint=_nearby(name)) from error
    if len(content) > MAX_BYTES:
        raise ParamtoolError(f"{shown} is larger than {MAX_BYTES:,} bytes, too much for a spec")
    try:
        return Text(shown, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ParamtoolError(
            f"{shown} is not a text in UTF-8 (byte {error.start})", hint="is this a spec?"
        ) from error


def _read_file(path: Path) -> bytes:
    if path.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    with path.open("rb") as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file.read(MAX_BYTES + 1)
        return _read_stream(file.fileno())


def _read_stream(descriptor: int) -> bytes:
    """Read a pipe or a device, which may have no end, up to the limit."""
    content = bytearray()
    while len(content) <= MAX_BYTES and (more := os.read(descriptor, MAX_BYTES + 1 - len(content))):
        content += more
    return bytes(content)


def _nearby(name: str) -> str | None:
    """Suggest a spec of the same folder."""
    from paramtool.suggestion import nearest

    try:
        files = [each for each in islice(Path(name).parent.iterdir(), 1000) if each.suffix in SUFFIXES]
    except (OSError, ValueError):
        return None
    stems = {each.stem: each for each in files}
    near = nearest(Path(name).stem, stems)
    return None if near is None or str(stems[near]) == name else f"did you mean '{stems[near]}'?"


def spec_catalog() -> Catalog:
    """Return the shipped catalogue, or that of the installed torch where it is another version."""
    known = shipped()
    if known.torch == version("torch").partition("+")[0]:
        return known
    from paramtool.sources.build.signatures import catalog

    return catalog()
