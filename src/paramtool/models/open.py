"""Open what MODEL names: a spec, a checkpoint, a snapshot or an object of Python."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

from paramtool.errors import ParamtoolError
from paramtool.files.reading import formats
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.files.reading.folder import describe_config
from paramtool.files.reading.json_document import Document, read_document
from paramtool.files.reading.sharded import read_index
from paramtool.language.catalog import Catalog, shipped
from paramtool.language.document import Spec, read_spec
from paramtool.language.limits import MAX_BYTES
from paramtool.language.overrides import Override
from paramtool.language.rules import read_recipe
from paramtool.language.text import STDIN, read_text
from paramtool.models.form import Form, path_and_key, recognize
from paramtool.models.python_object import PythonObject, read_object
from paramtool.models.snapshot import Snapshot, read_snapshot
from paramtool.place import Text
from paramtool.records.rule import Rule

Buildable: TypeAlias = Spec | PythonObject
"""What says how to build a module."""

Model: TypeAlias = Buildable | Checkpoint | Snapshot


def open_model(name: str, overrides: Sequence[Override] = (), arguments: Sequence[str] = ()) -> Model:
    """Return what `name` is, told by its content: nothing that it names is imported, built or run.

    Args:
        name: a file, a folder, ``-`` for standard input, or ``package.module:object``.
        overrides: what ``--set`` changes in a spec.
        arguments: what ``--arg`` gives to an object, each ``key=value``.

    Raises:
        ParamtoolError: for what cannot be read, or is of a format that is not read.
        Problems: with everything that is wrong in a spec.
    """
    form = Form.text if name == STDIN else recognize(name)
    text = read_text(name) if form is Form.text else None
    document = read_document(text) if text else None
    if arguments and form is not Form.object:
        what = document.form if document else "a spec" if text else _what(name, form)
        raise ParamtoolError(f"--arg is for package.module:object, and {name} is {what}")
    if text and not (document and (document.is_index or document.is_snapshot)):
        config = describe_config(document.content, name) if document else None
        if config is not None:
            raise config
        return _spec(text, overrides)
    if overrides:
        raise ParamtoolError(
            f"--set changes a spec, and {name} is {document.form if document else _what(name, form)}"
        )
    if form is Form.object:
        return read_object(name, arguments)
    if document and document.is_snapshot:
        return read_snapshot(document)
    return _of_index(document, name) if document else open_checkpoint(name)


def open_checkpoint(name: str) -> Checkpoint:
    """Return the checkpoint that `name` is: a file, a folder, or the index of its shards.

    Raises:
        ParamtoolError: where it is no checkpoint.
    """
    if not name:  # it would be the folder one is in
        raise ParamtoolError("the name of the checkpoint is empty")
    form = recognize(name)
    if form is Form.object:
        hint = "as weights.safetensors, a .pt file, or a folder of shards"
        raise ParamtoolError(f"{name} is {form.value}, no checkpoint", hint=hint)
    path, key = path_and_key(name)
    if form is Form.checkpoint:
        return formats.read_checkpoint(path, key, name)
    document = read_document(read_text(str(path)))
    if document is None or not document.is_index:
        config = describe_config(document.content, name) if document else None
        hint = "as weights.safetensors, a .pt file, or a folder of shards"
        raise config or ParamtoolError(f"{name} is {form.value}, no checkpoint", hint=hint)
    return _of_index(document, name)


def _of_index(document: Document, name: str) -> Checkpoint:
    document.check()
    return read_index(Path(name), document.content, formats.open_file, name)


def _what(name: str, form: Form) -> str:
    """Return what `name` is, for messages: a checkpoint by its format."""
    found = formats.recognize(path_and_key(name)[0]) if form is Form.checkpoint else None
    return found.name if found else form.value


def buildable(model: Model) -> Buildable:
    """Return `model` where it says how to build a module.

    Raises:
        ParamtoolError: for a model that only tells what a module has, with what would do.
    """
    if isinstance(model, Checkpoint):
        hint = f"this takes a spec or package.module:object, with --weights {model.name}"
        raise ParamtoolError(f"{model.name} holds tensors and no module", hint=hint)
    if isinstance(model, Snapshot):
        hint = "this takes a spec or package.module:object"
        raise ParamtoolError(f"{model.name} is a snapshot, which tells of a module and is none", hint=hint)
    return model


def _spec(text: Text, overrides: Sequence[Override]) -> Spec:
    if len(text.content) > MAX_BYTES:
        raise ParamtoolError(f"{text.name} is larger than {MAX_BYTES:,} bytes, too much for a spec")
    return read_spec(text, spec_catalog(), tuple(overrides))


def open_recipe(name: str) -> tuple[Rule, ...]:
    """Return the rules in the recipe file `name`.

    Raises:
        ParamtoolError: where the file cannot be read as text of bounded size.
        Problems: with everything that is wrong in it.
    """
    if not name:
        raise ParamtoolError("the name of the recipe is empty")
    return read_recipe(read_text(name), spec_catalog())


def spec_catalog() -> Catalog:
    """Return the shipped catalogue, or that of the installed torch where it is another version."""
    known = shipped()
    if known.torch == version("torch").partition("+")[0]:
        return known
    from paramtool.network.signatures import catalog

    return catalog()
