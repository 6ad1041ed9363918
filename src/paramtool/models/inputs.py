"""What a model is called with, if nothing else is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paramtool.errors import ParamtoolError

if TYPE_CHECKING:
    from paramtool.language.document import Inputs
    from paramtool.models.built import BuiltModel


def own_inputs(model: BuiltModel) -> Inputs:
    """Return the inputs that come with `model`.

    Raises:
        ParamtoolError: if there are none.
    """
    if model.inputs is None:
        raise ParamtoolError(f"{model.name} has no input to run on", hint=model.hint_of_input())
    return model.inputs
