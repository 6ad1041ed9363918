"""Open what MODEL names, determined by content: nothing it names is imported, built or run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from paramtool.audience import worded
from paramtool.errors import BrokenSpec, CannotOpen, ParamtoolError, Problems
from paramtool.files.reading import formats
from paramtool.files.reading.formats import path_and_key
from paramtool.language.text import STDIN, read_text
from paramtool.models.form import Form, recognize

# Each kind of model is imported where one is opened: a checkpoint needs no reader of specs, nor a spec
# one of checkpoints.
if TYPE_CHECKING:
    from paramtool.files.reading.checkpoint import Checkpoint
    from paramtool.files.reading.json_document import Document
    from paramtool.language.catalog import Catalog
    from paramtool.language.overrides import Override
    from paramtool.models.model import Model
    from paramtool.models.snapshot import SnapshotModel
    from paramtool.models.spec import SpecModel
    from paramtool.place import Place, Text
    from paramtool.records.rule import Rule

_SNAPSHOT = "'paramtool inspect MODEL --json > x.json' writes a snapshot"
_WRITE = "'paramtool inspect MODEL --json > {}' writes one"


def open_model(
    name: str,
    overrides: Sequence[Override] = (),
    arguments: Sequence[str] | Mapping[str, object] = (),
    tell: Callable[[str], object] | None = None,
    side: str = "",
) -> Model:
    """Return the model that `name` is.

    Args:
        name: a file, a folder, ``-`` for standard input, ``package.module:object`` or ``file.py:object``.
        overrides: what ``--set`` changes in a spec.
        arguments: what ``--arg`` gives to an object, each ``key=value``; or the values by their keys.
        tell: is called with each note, as soon as it is known.
        side: what the names of the options end in, for messages: ``-a`` of ``--arg-a``.

    Raises:
        CannotOpen: for what cannot be read, or is of a format that is not read.
        BrokenSpec: with everything that is wrong in a spec.
    """
    with _opening():
        form = Form.text if name == STDIN else recognize(name)
        if form is Form.absent:
            from paramtool.models.python_name import in_python

            meant, form = in_python(name), Form.text
            if meant is not None:
                raise meant
        text = read_text(name) if form is Form.text else None
        document = _document(text) if text else None
        if arguments and form is not Form.object:
            what = document.form if document else "a spec" if text else _what(name, form)
            given = worded(f"--arg{side} is", "arguments are")
            raise ParamtoolError(f"{given} for package.module:object, but {name} is {what}")
        if text and not (document and (document.is_index or document.is_snapshot)):
            if document:
                _refuse_other_json(document, name)
            return _spec(text, overrides, tell)
        if overrides:
            what = document.form if document else _what(name, form)
            raise ParamtoolError(f"{worded(f'--set{side}', 'set')} changes a spec, but {name} is {what}")
        if form is Form.source:
            from paramtool.models.python_file import PythonFileModel

            return PythonFileModel(name, tell)
        if form is Form.object:
            from paramtool.language.python_object import read_object
            from paramtool.models.python_object import ObjectModel

            wanted = read_object(name, arguments, f"--arg{side}")
            if wanted.is_file:
                from paramtool.language.python_source import check_file

                check_file(wanted.module)
            return ObjectModel(wanted, tell)
        if document and document.is_snapshot:
            return _snapshot(document, tell)
        return _of_files(name, form, document, tell)


def _checkpoint(name: str, form: Form) -> Checkpoint:
    if form is Form.remote:
        from paramtool.files.remote.remote_checkpoint import open_remote

        return open_remote(name)
    return formats.open_checkpoint(name)


def _of_files(
    name: str, form: Form, document: Document | None, tell: Callable[[str], object] | None
) -> Model:
    from paramtool.files.reading.checkpoint import SeveralCheckpoints

    try:
        checkpoint = _of_index(document, name) if document else _checkpoint(name, form)
    except SeveralCheckpoints as error:
        from paramtool.models.folder import FolderModel

        return FolderModel(error, tell)
    from paramtool.models.checkpoint import CheckpointModel

    return CheckpointModel(checkpoint, tell)


@contextmanager
def _opening() -> Iterator[None]:
    """Say of every error in between that it is one of opening."""
    try:
        yield
    except CannotOpen:
        raise
    except Problems as error:
        raise BrokenSpec(error.errors) from error
    except ParamtoolError as error:
        opening = CannotOpen(error.message, error.place, error.hint)
        opening.mend = error.mend
        raise opening from error


def open_checkpoint(name: str) -> Checkpoint:
    """Return the checkpoint that `name` is: a file, a folder, or the index of its shards.

    Raises:
        CannotOpen: if it is not a checkpoint.
    """
    with _opening():
        form = recognize(name)
        if form is Form.object:
            hint = "e.g. weights.safetensors, a .pt file, or a folder of shards"
            raise ParamtoolError(f"{name} is {Form.object.value}, not a checkpoint", hint=hint)
        return _checkpoint(name, form)


def _document(text: Text) -> Document | None:
    """Return the JSON object in `text`; None for another text, which most specs are."""
    if text.content.lstrip()[:1] != "{":
        return None
    from paramtool.files.reading.json_document import read_document

    return read_document(text)


def _refuse_other_json(document: Document, name: str) -> None:
    """Refuse a JSON object without a key like those of a spec; say so of the config of a model."""
    from paramtool.files.reading.json_document import describe_config
    from paramtool.language.document import KEYS
    from paramtool.suggestion import nearest

    config = describe_config(document.content, name)
    if config is not None:
        raise config
    if not any(nearest(key, KEYS) for key in islice(document.content, len(KEYS))):
        what = "neither a spec, a snapshot nor the index of a checkpoint"
        what = what if document.content else "an empty object"
        raise ParamtoolError(f"{name} is JSON, but {what}", hint=_SNAPSHOT)


def _snapshot(document: Document, tell: Callable[[str], object] | None = None) -> SnapshotModel:
    from paramtool.files.reading.snapshot import read_snapshot
    from paramtool.models.snapshot import SnapshotModel

    return SnapshotModel(document.name, read_snapshot(document), tell)


def _of_index(document: Document, name: str) -> Checkpoint:
    from paramtool.files.reading.sharded import in_folder, read_index

    document.check()
    path = Path(name)
    return read_index(path, document.content, in_folder(path.parent, formats.open_file), name)


def _what(name: str, form: Form) -> str:
    """Return what `name` is, for messages: a checkpoint by its format."""
    found = formats.recognize(path_and_key(name)[0]) if form is Form.checkpoint else None
    return found.name if found else form.value


def _spec(text: Text, overrides: Sequence[Override], tell: Callable[[str], object] | None) -> SpecModel:
    from paramtool.language.document import read_spec
    from paramtool.language.limits import MAX_BYTES
    from paramtool.models.spec import SpecModel

    if len(text.content) > MAX_BYTES:
        raise ParamtoolError(f"{text.name} is larger than {MAX_BYTES:,} bytes, the limit for a spec")
    return SpecModel(read_spec(text, spec_catalog(), tuple(overrides)), tell)


def open_reference(name: str, place: Place) -> Model:
    """Return the model that an expectation at `place` compares with.

    What a person typed may be any MODEL.  A spec, which is untrusted, names a snapshot below its own
    folder and nothing else, and no complaint quotes the file.

    Raises:
        CannotOpen: if there is none, or the spec may not name it.
    """
    if place.text.is_option:
        return open_model(name)
    folder = Path(place.text.name).parent
    path = folder / name
    if not path.is_file():
        raise CannotOpen(f"there is no file {path}", place, _WRITE.format(path))
    if not path.resolve().is_relative_to(folder.resolve()):
        raise CannotOpen(f"{path} is outside the spec's folder", place)
    try:
        form = recognize(str(path))
        document = _document(read_text(str(path))) if form is Form.text else None
        if document is not None and document.is_snapshot:
            return _snapshot(document)
    except ParamtoolError:
        pass
    raise CannotOpen(f"{path} is not a snapshot", place, _WRITE.format(path))


def open_recipe(name: str) -> tuple[Rule, ...]:
    """Return the rules in the recipe file `name`.

    Raises:
        CannotOpen: if the file cannot be read as text of bounded size.
        BrokenSpec: with everything that is wrong in it.
    """
    from paramtool.language.rules import read_recipe

    with _opening():
        if not name:
            raise ParamtoolError("the name of the recipe is empty")
        return read_recipe(read_text(name), spec_catalog())


def spec_catalog() -> Catalog:
    """Return what a spec may name: the shipped catalogue, and what only the installed torch has."""
    from paramtool.language.torch_source import installed_source
    from paramtool.network.installed_catalog import catalog_of

    return catalog_of(installed_source())
