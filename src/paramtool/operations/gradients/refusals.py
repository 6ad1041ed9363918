"""Say where a pass failed, on what, and how to fix it."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.audience import worded
from paramtool.errors import ParamtoolError, UserCodeFailed, first_line, shorten, text_of
from paramtool.foreign_code import owners
from paramtool.operations.gradients.calls import Failure, has_forward
from paramtool.tensors.named_tensors import dtype_name

_INTEGERS = (
    "it takes integers: 'fill: randint' in the spec, or e.g. --input 2,4,randint=10",
    "it takes integers, e.g. torch.randint(10, (2, 4))",
)
_LONGEST = 300
"""Characters of a message of torch's."""

LARGER_BATCH = ("use a batch of 2 or more, or --eval", "use a batch of 2 or more, or training=False")
"""The hint for a batch of one in a batch norm."""

_LACKING = (
    "give an --input for each, in order, or by name, e.g. --input src=2,4",
    "give inputs for all, in order, or by name in named={...}",
)
_OTHER_DTYPE = "same dtype|expected scalar type"
_HINTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("maximum recursion depth", ("its modules are not nested too deep: its forward calls itself",)),
    ("Expected more than 1 value per channel", LARGER_BATCH),
    ("scalar types: Long, Int|indices should|must be (a )?Long|expects? (index|indices)", _INTEGERS),
    ("missing .* required positional argument", _LACKING),
    ("takes .* positional arguments? but|unexpected keyword argument", ("leave out an input",)),
    ("'tuple' object|not tuple", ("the module before it returned a tuple, as an LSTM does",)),
)
"""What torch's message is like, and what to do: at the command line, and in Python if that differs."""


def check_forward(module: nn.Module) -> None:
    """Refuse a model that cannot be called, before anything is spent on it.

    Raises:
        ParamtoolError: for a container that only holds modules.
    """
    if not has_forward(module):
        raise _no_forward(f"the model ({type(module).__name__})")


def check_lazy(name: str, tensor: Tensor) -> None:
    """Refuse a parameter or buffer that has no shape yet.

    Raises:
        ParamtoolError: if it is lazy.
    """
    if is_lazy(tensor):
        hint = "give the spec an 'input', or call the module once"
        raise ParamtoolError(f"'{name}' is lazy and has no shape", hint=hint)


def failed_forward(error: BaseException, failure: Failure | None, root: nn.Module) -> ParamtoolError:
    """Return the message for an `error` in the forward pass: the module, what it got, torch's message."""
    path, module = (
        (failure.call.path, failure.module) if failure else _came_through(error, root) or ("", root)
    )
    name = _named(path, module)
    if isinstance(error, NotImplementedError) and not has_forward(module):
        return _no_forward(name)
    own = ", ".join(
        f"{name} {list(each.shape)}"
        for name, each in islice(module._parameters.items(), 2)
        if each is not None
    )
    name += f" with {own}" if own else ""
    got = ", ".join(filter(None, (_described(each) for each in failure.arguments))) if failure else ""
    message = f"{name} fails{f' on {got}' if got else ''}: {_message(error)}"
    return UserCodeFailed(message, hint=_hint(error, module), module=path)


def _no_forward(name: str) -> ParamtoolError:
    hint = "Module, lists and dictionaries only hold modules; Sequential runs them"
    return ParamtoolError(f"{name} has no forward", hint=hint)


def failed_backward(error: BaseException, root: nn.Module) -> ParamtoolError:
    """Return the message for an `error` in the backward pass: the module whose code raised, if any did."""
    found = _came_through(error, root)
    at = f" at {_named(*found)}" if found else ""
    path = found[0] if found else None
    return UserCodeFailed(f"the backward pass fails{at}: {_message(error)}", module=path)


def failed_switch(error: BaseException, root: nn.Module, training: bool) -> ParamtoolError:
    """Return the message for an `error` while the modules were set to training or evaluation."""
    path, module = _came_through(error, root) or ("", root)
    hint = worded("--eval runs it without", "training=False runs it without") if training else None
    message = f"{_named(path, module)} fails in train({training}): {_message(error)}"
    return UserCodeFailed(message, hint=hint, module=path)


def _came_through(error: BaseException, root: nn.Module) -> tuple[str, nn.Module] | None:
    """Return the innermost module of `root` whose code `error` came through, by its path."""
    paths = {id(module): (path, module) for path, module in root.named_modules()}
    return next((paths[id(each)] for each in owners(error) if id(each) in paths), None)


def _named(path: str, module: nn.Module) -> str:
    kind = type(module).__name__
    return f"'{shorten(path, _LONGEST)}' ({kind})" if path else f"the model ({kind})"


def failed_loss(name: str, error: BaseException) -> ParamtoolError:
    """Return the message for an `error` while the loss was computed from the output."""
    return UserCodeFailed(f"the loss {name} of the output fails: {_message(error)}")


def _message(error: BaseException) -> str:
    name, said = type(error).__name__, first_line(error).partition(" Hint:")[0]  # torch's own, about Python
    is_usual = isinstance(error, (RuntimeError, ValueError)) and type(error).__module__ == "builtins"
    kind = "" if is_usual or said == name else f"{name}: "
    return f"{kind}{shorten(said, _LONGEST).rstrip('.')}"  # torch may name every backend that there is


def _hint(error: BaseException, module: nn.Module) -> str | None:
    text = text_of(error)
    if "index out of range" in text and isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        rows = module.num_embeddings
        given = worded(f"--input 2,4,randint={rows}", f"torch.randint({rows}, (2, 4))")
        return f"it has {rows:,} rows: use e.g. {given}"
    hints = next((hints for pattern, hints in _HINTS if re.search(pattern, text)), None)
    if hints is None and re.search(_OTHER_DTYPE, text):
        kind = next((dtype_name(each) for each in module.parameters()), "float32")
        given = f"give the input as {kind}"
        return worded(f"{given}: dtype={kind} in the input; for a file, save tensor.to(torch.{kind})", given)
    return None if hints is None else worded(hints[0], hints[-1])


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{list(value.shape)} {dtype_name(value)}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(_described(each) for each in value)})"
    return "" if value is None else type(value).__name__
