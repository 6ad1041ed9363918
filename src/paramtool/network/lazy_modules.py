"""Settle lazy modules by one forward pass over the input of the spec."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from paramtool.audience import worded
from paramtool.errors import UserCodeFailed, first_line
from paramtool.foreign_code import foreign_code
from paramtool.language.document import Inputs
from paramtool.network.spec_tensors import make_tensor
from paramtool.quantities import counted


def settle(module: nn.Module, inputs: Inputs | None, *, in_spec: bool) -> list[str]:
    """Give lazy parameters their shapes; return notes on what could not be settled.

    On the meta device nothing is computed.  Modules stay in the mode they were in.

    Args:
        module: with lazy modules or without.
        inputs: what it is called with; None if nobody said.
        in_spec: whether a spec describes the module, and may have inputs.
    """
    lazy = [name for name, each in module.named_modules() if isinstance(each, LazyModuleMixin)]
    if not lazy:
        return []
    if inputs is None:
        count = f"{counted(len(lazy), 'lazy module')} {'has' if len(lazy) == 1 else 'have'}"
        them = "it" if len(lazy) == 1 else "them"
        typed, called = f"--input SIZE,… settles {them}", f"run the module once to settle {them}"
        if in_spec:
            called = f"give the spec an 'input' to settle {them}"
            typed = f"{called}, or type --input SIZE,…"
        return [f"{count} no shapes; {worded(typed, called)}"]
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        with foreign_code(lambda error: UserCodeFailed(first_line(error))):
            _run(module, inputs)
    except UserCodeFailed as error:
        if not any(nn.parameter.is_lazy(each) for each in module.parameters()):
            return []  # it got as far as it had to
        return [f"the forward pass that would settle lazy modules failed: {error.message}"]
    finally:
        for each, training in modes:
            each.training = training
    return []


def _run(module: nn.Module, inputs: Inputs) -> None:
    positional = [make_tensor(node) for node in inputs.positional]
    named = {name: make_tensor(node) for name, node in inputs.named.items()}
    with torch.no_grad():
        module(*positional, **named)
