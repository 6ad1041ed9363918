"""Which MODEL is meant: the one that was named, or the default of this folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from paramtool.errors import ParamtoolError

DEFAULT = "model.yaml"
VARIABLE = "PARAMTOOL_MODEL"


@dataclass(frozen=True)
class Choice:
    """Which model is meant, and why it was chosen if nobody named it."""

    name: str
    reason: str | None = None


def choose(given: str | None, called: str = "MODEL") -> Choice:
    """Return the model that was given, else that of ``$PARAMTOOL_MODEL``, else ``model.yaml``.

    `called` is the name of the argument in messages.

    Raises:
        ParamtoolError: if none of these is there.
    """
    if given == "":
        raise ParamtoolError(f"{called} is empty", hint="leave it out for model.yaml")
    if given is not None:
        return Choice(given)
    if os.environ.get(VARIABLE):
        return Choice(os.environ[VARIABLE], f"${VARIABLE}")
    if Path(DEFAULT).is_file():
        return Choice(DEFAULT, "the current folder")
    raise ParamtoolError(f"no {called} given, and no {DEFAULT} here", hint=f"name one, or set {VARIABLE}")
