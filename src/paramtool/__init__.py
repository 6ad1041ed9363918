"""Look at, initialize and compare the parameters of PyTorch networks.

The Python API is what the commands call:

    >>> import paramtool, torch
    >>> report = paramtool.parameters(torch.nn.Linear(4, 3))
    >>> print(paramtool.as_text(report, "csv"), end="")
    name,type,shape,dtype,numel,nbytes,requires_grad,tied_to
    weight,Linear,"[3, 4]",float32,12,48,true,
    bias,Linear,[3],float32,3,12,true,
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paramtool.errors import ParamtoolError
from paramtool.records.report import Report
from paramtool.records.rule import Rule
from paramtool.render.formats import Format, as_text

if TYPE_CHECKING:
    from paramtool.operations.initialize import initialize
    from paramtool.operations.parameters import parameters

__all__ = ["Format", "ParamtoolError", "Report", "Rule", "as_text", "initialize", "parameters"]


def __getattr__(name: str) -> Any:
    # The operations import torch, and every module here imports this one: so they come on demand.
    if name == "initialize":
        from paramtool.operations.initialize import initialize

        return initialize
    if name == "parameters":
        from paramtool.operations.parameters import parameters

        return parameters
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
