"""Import what the person typed, and build the module that it is: this runs their code."""

from __future__ import annotations

import contextlib
import inspect
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from paramtool.audience import worded
from paramtool.errors import (
    BadArgument,
    CannotOpen,
    ParamtoolError,
    UserCodeFailed,
    first_line,
    shorten,
    told,
)
from paramtool.foreign_code import foreign_code, raised_at
from paramtool.language.python_object import PythonObject
from paramtool.network import current_folder
from paramtool.network.construction import Network, no_collection
from paramtool.network.fill_record import Recording
from paramtool.network.lazy_modules import settle
from paramtool.network.members import unseen
from paramtool.network.meta_device import StructureOnly
from paramtool.network.nesting import check_nesting
from paramtool.network.python_import import import_file
from paramtool.network.sketch import Sketch
from paramtool.suggestion import nearest

_NOTHING = object()
_GUARD = "call init_process_group only if not torch.distributed.is_initialized()"
_after_import: dict[tuple[str, int], torch.Tensor] = {}
"""The states of torch's generator after modules were imported, by their names and seeds."""


def find_object(wanted: PythonObject) -> Any:
    """Return the object itself: what is not installed is looked for in the current folder.

    Raises:
        ParamtoolError: if there is no such module or attribute, or importing it fails.
    """
    if not wanted.is_file:
        current_folder.reach(wanted.module)
    foreign = foreign_code(lambda error: _not_imported(wanted, error))
    with foreign, _kept_from_stdout(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(wanted.seed)  # of modules that are built while they are imported
        found: Any = (import_file if wanted.is_file else import_module)(wanted.module)
        _after_import.setdefault((wanted.module, wanted.seed), torch.get_rng_state())
        for part in wanted.path.split("."):
            known, found = found, getattr(found, part, _NOTHING)
            if found is _NOTHING:
                raise _no_such(wanted, part, [each for each in dir(known) if not each.startswith("_")])
    return found


def _no_such(wanted: PythonObject, part: str, known: list[str]) -> CannotOpen:
    near = nearest(part, known)
    hint = f"did you mean '{near}'?" if near else current_folder.obstacle(wanted.module)
    error = CannotOpen(f"{wanted.module} has no '{wanted.path}'", hint=hint)
    if near is None or part not in wanted.path.split("."):
        return error
    path = ".".join(near if each == part else each for each in wanted.path.split("."))
    return error.mended(wanted.name, f"{wanted.module}:{path}")


def structure(wanted: PythonObject) -> Network:
    """Build names and shapes, on the meta device if that works, else with values.

    Raises:
        ParamtoolError: if it is not a module, its constructor raises, or modules nest too deep.
    """
    return sketch(wanted, StructureOnly())[0]


def sketch(wanted: PythonObject, mode: StructureOnly | Sketch | None = None) -> tuple[Network, Sketch]:
    """Build the same, and record what would fill each tensor; an empty record if that does not work.

    Raises:
        ParamtoolError: as `structure` does.
    """
    mode = mode or Sketch()
    was_connected = _is_connected()
    with no_collection():
        module, failure = _attempt(wanted, mode)
        if module is not None:
            check_nesting(module)
            with mode:
                notes = settle(module, wanted.inputs, in_spec=False)
            return Network(module, (*notes, *unseen(module))), mode if isinstance(mode, Sketch) else Sketch()
    try:
        return values(wanted), Sketch()
    except UserCodeFailed as error:
        if failure is not None and _is_connected() and not was_connected:
            error.set_hint(f"its first run, on the meta device, {failure}; {_GUARD}")
        raise


def values(wanted: PythonObject, rng: str = "streams") -> Network:
    """Build on the CPU, with the values that the constructor gives; an instance has those that it has.

    Args:
        wanted: what to build.
        rng: ``streams`` draws each tensor from a stream of its own, so that other layers change nothing;
            ``torch`` gives what the same code gives after ``torch.manual_seed``.

    Raises:
        ParamtoolError: as `structure` does, and where a tensor does not fit in this machine's memory.
    """
    with no_collection(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(wanted.seed)
        found = find_object(wanted)
        state = None
        if rng == "torch" or isinstance(found, nn.Module):
            torch.manual_seed(wanted.seed)
            module, notes = _built(found, wanted)
            check_nesting(module)
            state = _after_import[wanted.module, wanted.seed] if module is found else torch.get_rng_state()
            notes += settle(module, wanted.inputs, in_spec=False)
        else:
            recording = Recording(bounded=True)
            with recording:
                module, notes = _built(found, wanted)
                check_nesting(module)
                notes += settle(module, wanted.inputs, in_spec=False)
            recording.redraw(module, wanted.seed)
        random = state if rng == "torch" else None
        return Network(module, (*notes, *unseen(module)), has_values=True, rng_state=random)


def _attempt(wanted: PythonObject, mode: StructureOnly | Sketch) -> tuple[nn.Module | None, str | None]:
    """Build on the meta device; None if that does not work, and why, or if the module already exists."""
    found = find_object(wanted)
    if isinstance(found, nn.Module):
        return None, None
    heard, built = io.StringIO(), None
    try:
        with foreign_code("it"), _held(heard), mode:
            built = _call(found, wanted)
    except ParamtoolError as error:
        return None, error.message.removeprefix("it ")
    if not isinstance(built, nn.Module):
        return None, None
    sys.stderr.write(heard.getvalue())
    return built, None


def _is_connected() -> bool:
    """Return whether the code has initialized a process group."""
    return dist.is_available() and dist.is_initialized()


def _built(found: Any, wanted: PythonObject) -> tuple[nn.Module, list[str]]:
    if isinstance(found, nn.Module):
        if wanted.arguments or wanted.positional:
            raise BadArgument(
                f"{wanted.name} is already a module and takes no {worded('--arg', 'arguments')}"
            )
        return found, []
    if not callable(found):
        raise ParamtoolError(
            f"{wanted.name} is {_described(found)}, neither a module nor a function that makes one"
        )
    _check_arguments(found, wanted)
    foreign = foreign_code(lambda error: _failed(wanted, error))
    with foreign, _kept_from_stdout(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        made = _call(found, wanted)
    if not isinstance(made, nn.Module):
        raise ParamtoolError(f"{wanted.name} made {_described(made)}, not a module")
    return made, list(dict.fromkeys(first_line(each.message) for each in caught))


def _check_arguments(found: Callable[..., Any], wanted: PythonObject) -> None:
    """Report missing or unknown arguments before anything runs, if the signature is known."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*wanted.positional, **wanted.arguments)
    except TypeError as error:
        shown = shorten(f"{wanted.path}{signature}", 300)
        given = worded(f"{wanted.option} KEY=VALUE", "arguments={...}")
        hint = f"it is {shown}; pass arguments with {given}"
        raise BadArgument(f"{wanted.name}: {error}", hint=hint) from error


def _call(found: Callable[..., Any], wanted: PythonObject) -> Any:
    positional, named = _as_dtype(list(wanted.positional)), _as_dtype(wanted.arguments)
    return found(*positional, **named)


def _as_dtype(value: Any) -> Any:
    """Return the dtype that a text such as ``torch.bfloat16`` names, also inside lists; the rest as it is."""
    if isinstance(value, list):
        return [_as_dtype(each) for each in value]
    if isinstance(value, dict):
        return {key: _as_dtype(each) for key, each in value.items()}
    if isinstance(value, str) and value.startswith("torch."):
        found = getattr(torch, value.removeprefix("torch."), None)
        return found if isinstance(found, torch.dtype) else value
    return value


@contextlib.contextmanager
def _kept_from_stdout() -> Iterator[None]:
    """Lead what foreign code prints to stderr: stdout is for the result."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _held(heard: io.StringIO) -> Iterator[None]:
    """Hold back what an attempt prints: one that fails is repeated with values, and says it again."""
    prints = contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard)
    with prints[0], prints[1], warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _not_imported(wanted: PythonObject, error: BaseException) -> ParamtoolError:
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    if missing and (wanted.module == missing or wanted.module.startswith(f"{missing}.")):
        hint = current_folder.obstacle(missing) or "it is neither installed nor in the current folder"
        return CannotOpen(f"no module '{missing}' to import", hint=hint)
    return UserCodeFailed(f"importing {wanted.module} failed: {told(error)}", raised_at(error))


def _failed(wanted: PythonObject, error: BaseException) -> ParamtoolError:
    return UserCodeFailed(f"{wanted.name} failed: {told(error)}", raised_at(error))


def _described(value: Any) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
