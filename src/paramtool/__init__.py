"""Look at, initialize, compare and check the parameters of PyTorch networks.

Each command of the terminal is a function here.  It takes a name as on the command line, a live module,
a state_dict or an open model, and returns a `Report`:

    open        anything that holds parameters, as a `Model` that answers for itself
    inspect     every named tensor
    shared      which names are one tensor, or overlap
    gradients   what a backward pass leaves on each parameter
    convert     checkpoints selected, renamed, cast and merged, in another file
    initialize  parameters filled by each `Rule`, in place or in a file
    cost        what a forward pass computes and keeps, and the memory that training takes
    diff        how one model differs from another, and whether its state_dict would load
    check       whether expectations hold

`initializer` declares an initializer of your own, for ``--plugin FILE.py``.

A report has ``len()``, iteration over its rows, ``to_dicts()``, and ``str()`` as the table that the
command prints; `as_text` writes it in any `Format`.  What goes wrong is a `ParamtoolError`; see
`paramtool.errors` for the tree of them.

    >>> import paramtool, torch
    >>> print(paramtool.as_text(paramtool.inspect(torch.nn.Linear(4, 3)), "csv"), end="")
    name,type,shape,dtype,numel,nbytes,requires_grad,tied_to
    weight,Linear,"[3, 4]",float32,12,48,true,
    bias,Linear,[3],float32,3,12,true,
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # nothing is imported here: ``python -m`` has not yet let go of the current folder
if TYPE_CHECKING:
    from typing import Any

    from paramtool.api.check import check
    from paramtool.api.convert import convert
    from paramtool.api.cost import cost
    from paramtool.api.diff import diff
    from paramtool.api.gradients import gradients
    from paramtool.api.initialize import initialize
    from paramtool.api.inspect import inspect
    from paramtool.api.open import open
    from paramtool.api.shared import shared
    from paramtool.errors import (
        BadArgument,
        BrokenSpec,
        CannotAnswer,
        CannotOpen,
        DoesNotLoad,
        DoesNotMatch,
        NothingMatched,
        ParamtoolError,
        RuleMatchedNothing,
        UserCodeFailed,
    )
    from paramtool.models.model import Model
    from paramtool.plugins.initializer import initializer
    from paramtool.records.report import Report
    from paramtool.records.rule import Rule
    from paramtool.render.formats import Format, as_text

_HOMES = {
    **{
        name: f"api.{name}"
        for name in (
            "check", "convert", "cost", "diff", "gradients", "initialize", "inspect", "open", "shared",
        )
    },
    **dict.fromkeys(
        (
            "BadArgument", "BrokenSpec", "CannotAnswer", "CannotOpen", "DoesNotLoad", "DoesNotMatch",
            "NothingMatched", "ParamtoolError", "RuleMatchedNothing", "UserCodeFailed",
        ),
        "errors",
    ),
    "Format": "render.formats",
    "Model": "models.model",
    "Report": "records.report",
    "Rule": "records.rule",
    "as_text": "render.formats",
    "initializer": "plugins.initializer",
}  # fmt: skip

__all__ = [
    "BadArgument",
    "BrokenSpec",
    "CannotAnswer",
    "CannotOpen",
    "DoesNotLoad",
    "DoesNotMatch",
    "Format",
    "Model",
    "NothingMatched",
    "ParamtoolError",
    "Report",
    "Rule",
    "RuleMatchedNothing",
    "UserCodeFailed",
    "__version__",
    "as_text",
    "check",
    "convert",
    "cost",
    "diff",
    "gradients",
    "initialize",
    "initializer",
    "inspect",
    "open",
    "shared",
]


def __getattr__(name: str) -> Any:
    # The operations import torch, and every module here imports this one: so all comes on demand.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
