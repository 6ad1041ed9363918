"""Look at, initialize and compare the parameters of PyTorch networks.

The Python API is what the commands call.  Each function returns a `Report`, and raises
`ParamtoolError` for what is wrong with its arguments:

    read        what a checkpoint or a snapshot has       paramtool inspect weights.safetensors
    parameters  what a module has                         paramtool inspect
    sharing     which names are one tensor, or overlap    paramtool shared
    compare     in what one module differs from another   paramtool diff
    initialize  fill parameters by each `Rule`            paramtool init
    gradients   what a backward pass leaves               paramtool grad
    as_text     a report in any `Format`

    >>> import paramtool, torch
    >>> report = paramtool.parameters(torch.nn.Linear(4, 3))
    >>> print(paramtool.as_text(report, "csv"), end="")
    name,type,shape,dtype,numel,nbytes,requires_grad,tied_to
    weight,Linear,"[3, 4]",float32,12,48,true,
    bias,Linear,[3],float32,3,12,true,
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paramtool.api.compare import compare
    from paramtool.api.reading import read
    from paramtool.api.sharing import sharing
    from paramtool.errors import ParamtoolError
    from paramtool.network.listing import parameters
    from paramtool.operations.gradients.gradients import gradients
    from paramtool.operations.initialization.initialize import initialize
    from paramtool.records.report import Report
    from paramtool.records.rule import Rule
    from paramtool.render.formats import Format, as_text

__version__ = "0.1.0"

__all__ = [
    "Format",
    "ParamtoolError",
    "Report",
    "Rule",
    "as_text",
    "compare",
    "gradients",
    "initialize",
    "parameters",
    "read",
    "sharing",
]

_HOMES = {
    "Format": "render.formats",
    "ParamtoolError": "errors",
    "Report": "records.report",
    "Rule": "records.rule",
    "as_text": "render.formats",
    "compare": "api.compare",
    "gradients": "operations.gradients.gradients",
    "initialize": "operations.initialization.initialize",
    "parameters": "network.listing",
    "read": "api.reading",
    "sharing": "api.sharing",
}


def __getattr__(name: str) -> Any:
    # The operations import torch, and every module here imports this one: so all comes on demand.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
