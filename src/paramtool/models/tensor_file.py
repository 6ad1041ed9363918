"""Tensors of a file as what a model is called with: ``--input batch.pt``, ``--input x=batch.npz:x``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.document import Inputs
from paramtool.language.dtype_words import suggest_dtype
from paramtool.language.option_inputs import read_input
from paramtool.language.tree import TensorNode
from paramtool.place import Place, Text
from paramtool.suggestion import suggest

if TYPE_CHECKING:
    from torch import Tensor

    from paramtool.files.reading.checkpoint import Checkpoint, Stored

_FILE = re.compile(
    r"(?:(?P<name>[A-Za-z_]\w*)=)?"
    r"(?P<path>[^\[{].*?\.(?:pt|pth|bin|ckpt|pkl|safetensors|npz|npy)(?::[^,]+)?)"
    r"(?:,\s*dtype=(?P<dtype>\w*))?",
    re.IGNORECASE | re.DOTALL,
)
_BY_PLACE = re.compile(r"(?:arr_)?[0-9]+")  # numpy.savez, and a pickled list


@dataclass(frozen=True)
class TensorFile:
    """One option that names a file.

    Attributes:
        name: of the argument, if it was typed.
        path: of the file, with ``:key`` if it was typed.
        dtype: to cast the tensors to; None for that of the file.
        place: the option.
    """

    name: str | None
    path: str
    dtype: str | None
    place: Place

    @classmethod
    def of(cls, option: str, written: str, dtypes: Sequence[str]) -> TensorFile | None:
        """Return the file that an option names; None if it names none.

        Raises:
            ParamtoolError: for an unknown dtype.
        """
        match = _FILE.fullmatch(written.strip())
        if match is None:
            return None
        place = Place(Text(f"{option} {shorten(written)}", written, is_option=True), 1, 1)
        dtype = match["dtype"]
        if dtype is not None and dtype not in dtypes:
            hint = suggest_dtype(dtype, dtypes, "e.g. float32, bfloat16, int64")
            raise ParamtoolError(f"unknown dtype '{shorten(dtype)}'", place, hint)
        return cls(match["name"], match["path"], dtype, place)

    def tensors(self) -> Mapping[str, TensorNode]:
        """Return the tensors of the file by their names; their values are read when they are needed.

        Raises:
            ParamtoolError: if it cannot be read, or holds no tensor.
        """
        from paramtool.files.reading.formats import open_checkpoint, path_and_key

        path, key = path_and_key(self.path)
        try:
            found = open_checkpoint(str(path))
        except ParamtoolError as error:
            raise ParamtoolError(error.message, self.place, error.hint) from error
        names = [each.name for each in found.tensors]
        if key is not None:
            if key not in names:
                hint = suggest(key, names, f"it has {', '.join(names[:5])}")
                raise ParamtoolError(f"{path} has no tensor '{shorten(key)}'", self.place, hint)
            names = [key]
        if not names:
            raise ParamtoolError(f"{path} holds no tensor", self.place)
        return {name: self._node(found, found.by_name[name]) for name in names}

    def only(self) -> TensorNode:
        """Return the tensor of a file with one.

        Raises:
            ParamtoolError: if it cannot be read, or holds several.
        """
        found = self.tensors()
        if len(found) > 1:
            names = list(found)
            hint = f"{self.path}:{names[0]} is one of them"
            raise ParamtoolError(f"the file holds {len(found):,} tensors", self.place, hint)
        return next(iter(found.values()))

    def _node(self, checkpoint: Checkpoint, stored: Stored) -> TensorNode:
        def read() -> Tensor:
            from paramtool.tensors.elements import whole

            try:
                return whole(checkpoint, stored)
            except ParamtoolError as error:
                hint = error.hint
                if stored.missing is not None and "compressed" in stored.missing:
                    hint = hint or "numpy.savez writes it uncompressed"
                raise ParamtoolError(error.message, self.place, hint) from error

        dtype = self.dtype or stored.dtype
        return TensorNode("input", self.place, shape=stored.shape, dtype=dtype, stored=read)


def read_inputs(given: Sequence[str], dtypes: tuple[str, ...]) -> Inputs:
    """Return the inputs that were typed, each a file or what `option_inputs` reads.

    The only tensor of a file is the next argument.  Of several, those that a list or ``numpy.savez``
    numbered come by position, and others by their names.

    Raises:
        ParamtoolError: at the option that is wrong.
    """
    positional: list[TensorNode] = []
    named: dict[str, TensorNode] = {}
    for each in given:
        file = TensorFile.of("--input", each, dtypes)
        if file is None:
            found = [read_input(each, dtypes)]
        elif file.name is not None:
            found = [(file.name, file.only())]
        else:
            tensors = file.tensors()
            is_by_place = len(tensors) == 1 or all(map(_BY_PLACE.fullmatch, tensors))
            found = [(None if is_by_place else name, node) for name, node in tensors.items()]
        for name, node in found:
            if name is None:
                positional.append(node)
            elif not name.isidentifier():
                hint = f"NAME={file.path if file else each}:{name} gives it one"
                raise ParamtoolError(f"'{shorten(name)}' is not the name of an argument", node.place, hint)
            elif name in named:
                raise ParamtoolError(f"'{name}' appears twice", node.place)
            else:
                named[name] = node
    return Inputs(tuple(positional), named)


def read_target(written: str, dtypes: tuple[str, ...]) -> TensorNode:
    """Return the target that was typed: a file, or a fill with or without sizes.

    Raises:
        ParamtoolError: if it is neither.
    """
    from paramtool.language.option_inputs import read_target as read_fill

    file = TensorFile.of("--target", written, dtypes)
    return read_fill(written, dtypes) if file is None else file.only()
