"""Open what MODEL names: a spec, a checkpoint, a snapshot or an object of Python."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

from paramtool.errors import ParamtoolError
from paramtool.files.checkpoint import Checkpoint
from paramtool.files.safetensors_reading import read_safetensors
from paramtool.records.rule import Rule
from paramtool.sources.recognizing import Form, recognize
from paramtool.sources.spec.catalog import Catalog, shipped
from paramtool.sources.spec.document import Spec, read_spec
from paramtool.sources.spec.overrides import Override
from paramtool.sources.spec.rules import read_recipe
from paramtool.sources.texts import STDIN, read_text

Model: TypeAlias = Spec | Checkpoint


def open_model(name: str, overrides: Sequence[Override] = ()) -> Model:
    """Return what `name` is, told by its content: nothing that it names is imported, built or run.

    Args:
        name: a file, a folder, or ``-`` for standard input.
        overrides: what ``--set`` changes in a spec.

    Raises:
        ParamtoolError: for what cannot be read, or is of a format that is not read.
        Problems: with everything that is wrong in a spec.
    """
    form = Form.text if name == STDIN else recognize(name)
    if form is Form.text:
        return open_spec(name, overrides)
    if overrides:
        raise ParamtoolError(f"--set changes a spec, and {name} is {form.value}")
    return _checkpoint(name, form)


def _checkpoint(name: str, form: Form) -> Checkpoint:
    if form is Form.safetensors:
        return read_safetensors(Path(name))
    raise ParamtoolError(f"cannot read {name}: it is {form.value}")


def buildable(model: Model) -> Spec:
    """Return `model` where it says how to build a module.

    Raises:
        ParamtoolError: for a model that only tells what a module has, with what would do.
    """
    if isinstance(model, Spec):
        return model
    raise ParamtoolError(f"{model.name} holds tensors and no module", hint="this takes a spec")


def open_spec(name: str, overrides: Sequence[Override] = ()) -> Spec:
    """Return the spec in the file `name`, or on standard input for ``-``.

    Raises:
        ParamtoolError: where the file cannot be read as text of bounded size.
        Problems: with everything that is wrong in it.
    """
    return read_spec(read_text(name), spec_catalog(), tuple(overrides))


def open_recipe(name: str) -> tuple[Rule, ...]:
    """Return the rules in the recipe file `name`.

    Raises:
        ParamtoolError: where the file cannot be read as text of bounded size.
        Problems: with everything that is wrong in it.
    """
    return read_recipe(read_text(name), spec_catalog())


def spec_catalog() -> Catalog:
    """Return the shipped catalogue, or that of the installed torch where it is another version."""
    known = shipped()
    if known.torch == version("torch").partition("+")[0]:
        return known
    from paramtool.sources.build.signatures import catalog

    return catalog()
