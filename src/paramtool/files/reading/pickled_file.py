"""Opening what torch.save, torch.jit.save and pickle wrote: names, shapes and places, with no code run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading import checkpoint, pickled_tree, state_dict
from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.files.reading.contents import MOST_PARTS, parts
from paramtool.files.reading.open_file import Location, OpenFile, opened
from paramtool.files.reading.pickle_bytes import Span
from paramtool.files.reading.pickled_modules import Leaf, Modules
from paramtool.files.reading.pickled_tree import Tree
from paramtool.files.reading.pickled_values import PickledTensor
from paramtool.files.reading.state_dict import Chosen, StateDicts
from paramtool.files.reading.stored_tensors import Places, tied
from paramtool.files.reading.torch_archive import Archive, read_archive
from paramtool.files.reading.torch_legacy import read_bare, read_legacy
from paramtool.files.reading.trailing_bytes import ignored
from paramtool.name_parts import folded
from paramtool.records.contents import ContentRow

_BYTES_AN_ENTRY = 16
_MOST_ENTRIES = 1 << 25
_BYTES_A_NAME = 512
_MOST_NAMES = 1 << 21
_MOST_TOLD = 3
_MODELS = (
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
    "pytorch_model.bin.index.json", "adapter_model.safetensors", "adapter_model.bin",
)  # fmt: skip
"""What Hugging Face's Trainer calls the model that it writes beside its optimizer.pt."""


def read_pickled(
    path: Location, key: str | None = None, name: str | None = None, base: int = 0, size: int | None = None
) -> Checkpoint:
    """Return the tensors in a file that torch.save, torch.jit.save or pickle wrote.

    Args:
        path: the file.
        key: the dotted path of what is meant in it; by default what training scripts would mean.
        name: what to call the checkpoint; by default the path.
        base: the byte of the file at which it begins, if it is inside of another one.
        size: its bytes; by default all that the file has.

    Raises:
        ParamtoolError: for what is broken, or holds no tensors and nothing else to show.
    """
    with opened(path) as file:
        size = file.size - base if size is None else size
        is_zip = file.read(base, min(2, size)) == b"PK"
        span = Span(file, base, base + size)
        archive = read_archive(file, base, size) if is_zip else _read_pickles(span)
        try:
            return _Opened(file, size, archive, name or str(path)).checkpoint(key)
        except ParamtoolError as error:
            raise ParamtoolError(f"{path}: {error.message}", hint=error.hint) from error


def _read_pickles(span: Span) -> Archive:
    try:
        bare = read_bare(span)
        if bare is not None:
            return Archive(bare.root, bare.rooms, format="pickle", trailing=span.end - bare.end)
        legacy = read_legacy(span)
    except ParamtoolError as error:
        raise ParamtoolError(f"{span.file.path}: {error.message}", hint=error.hint) from error
    return Archive(
        legacy.root, legacy.rooms, legacy.swapped, "torch.save before 1.6", trailing=span.end - legacy.end
    )


class _Opened:
    def __init__(self, file: OpenFile, size: int, archive: Archive, name: str) -> None:
        self._file, self._path = file, file.path
        self._archive, self._name = archive, name
        self._places = Places(file.path, archive.rooms, archive.swapped)
        entries = min(max(4 * pickled_tree.MOST_ENTRIES, size // _BYTES_AN_ENTRY), _MOST_ENTRIES)
        self._names = min(max(checkpoint.MOST_NAMES, size // _BYTES_A_NAME), _MOST_NAMES)
        self._tree = Tree(entries)
        if not self._tree.holds(archive.root):
            self._tree = Tree(entries, arrays=True)

    def checkpoint(self, key: str | None) -> Checkpoint:
        finder = StateDicts(self._tree, Modules(self._tree, self._archive.declared), self._names)
        root = self._archive.root
        chosen = finder.choose(root) if key is None else finder.under(root, key)
        listed = [(leaf.tensor, self._places.stored(name, leaf)) for name, leaf in chosen.leaves.items()]
        tensors, names = tied(listed)
        contents = [*self._parts(chosen), *(self._constants() if key is None else ()), *_remarks(chosen)]
        return Checkpoint(
            self._name, tensors, names, format=self._archive.format,
            modules=chosen.modules, contents=tuple(contents), notes=tuple(self._notes(chosen, tensors, key)),
            versions=chosen.versions, objects=tuple(chosen.objects),
        )  # fmt: skip

    def _parts(self, chosen: Chosen) -> list[ContentRow]:
        found = parts(self._tree, chosen.rest, self._places.nbytes, self._bytes)
        return [replace(each, kind="attribute") if each.name in chosen.attributes else each for each in found]

    def _constants(self) -> list[ContentRow]:
        """Return the constants of TorchScript as a part, where there are tensors among them."""
        constants = self._archive.constants
        if constants is None or not self._tree.holds(constants):
            return []
        return parts(self._tree, [("constants", constants)], self._places.nbytes, lambda _: None)

    def _bytes(self, tensor: PickledTensor) -> bytes | None:
        """Return the bytes of a tensor of one element; None if they cannot be read."""
        try:
            stored = self._places.stored("", Leaf(tensor))
        except ParamtoolError:
            return None
        if stored.missing is not None or stored.nbytes > 16:
            return None
        return self._file.read(stored.position, stored.nbytes)

    def _notes(self, chosen: Chosen, tensors: tuple[Stored, ...], key: str | None) -> list[str]:
        notes = []
        if chosen.others:
            one = f"{self._path}:{chosen.others[0]}"
            more = f"the file also has {state_dict.listed(chosen.others)}, e.g. {one}"
            more = more if len(chosen.others) > 1 else f"{one} is another"
            notes.append(f"this is '{'.'.join(chosen.path)}'; {more}")
        elif key is None and len(chosen.path) > 1:
            notes.append(f"this is '{'.'.join(chosen.path)}' in {self._path.name}")
        notes.extend(_same_name(*each) for each in chosen.same_names[:_MOST_TOLD])
        if chosen.is_optimizer and not chosen.path:
            notes.append(_no_model(self._path))
        reasons: dict[str, list[str]] = {}
        for each in tensors:
            if each.missing is not None:
                reasons.setdefault(each.missing, []).append(each.name)
        notes.extend(
            f"without values: {state_dict.listed(folded(names))} ({why})" for why, names in reasons.items()
        )
        arrays = [each.name for each in tensors if each.is_array]
        if arrays:
            names = state_dict.listed(folded(arrays))
            notes.append(f"arrays of NumPy, which load_state_dict refuses: {names}")
        if len(chosen.rest) > MOST_PARTS:
            notes.append(f"the contents show {MOST_PARTS:,} of {len(chosen.rest):,} other entries")
        loader = "pickle.load" if self._archive.format == "pickle" else "torch.load"
        notes.extend(ignored(self._archive.trailing, loader))
        return notes


def _same_name(first: str, name: str) -> str:
    return f"two tensors are named '{shorten(first)}' by their keys; the second is shown as '{shorten(name)}'"


def _no_model(path: Location) -> str:
    """Return the note on a file that a training script wrote beside the model's."""
    folder = path.parent if isinstance(path, Path) else None
    near = next((each for each in _MODELS if folder and (folder / each).is_file()), None)
    there = f"'{near}' beside it" if near else "another file, such as model.safetensors"
    return f"{path.name} holds the state of an optimizer, one entry per parameter; the model is in {there}"


def _remarks(chosen: Chosen) -> list[ContentRow]:
    """Return the scales of quantized tensors."""
    return [
        ContentRow(f"{name} quantizer", leaf.tensor.remark_type, value=leaf.tensor.remark)
        for name, leaf in chosen.leaves.items()
        if leaf.tensor.remark is not None
    ][:MOST_PARTS]
