"""Reading a pickle without running it: a machine that makes inert stand-ins.

Python's own unpickler imports and calls what a pickle names, and allocates what it says.  This one knows
every opcode that Python writes, and makes a record of its own for whatever is named: a tensor for the calls
that torch.save writes, and an opaque object for anything else.
"""

from __future__ import annotations

import gc
import struct
from typing import Any

from paramtool.errors import ParamtoolError
from paramtool.files.reading.pickle_bytes import Span
from paramtool.files.reading.pickle_opcodes import OPCODES
from paramtool.files.reading.pickle_stack import Load, PickleStack
from paramtool.files.reading.pickled_values import Broken, EndsEarly, Storage

MOST_STEPS = 16_000_000
"""Opcodes of a pickle in a small file, where one that makes a container counts as `CONTAINER`.

A tensor has about 35.
"""

_HIGHEST_STEPS = 64_000_000
_HIGHEST_STEPS_OF_RECORDS = 160_000_000


def read_pickle(
    span: Span, storages: dict[str, Storage] | None = None, load: Load | None = None, *, dense: bool = False
) -> tuple[Any, int]:
    """Return what the pickle at a place of a file describes, and where it ends.

    Args:
        span: where the pickle begins, and what may be read.
        storages: takes every storage that the pickle names, by its key.
        load: gives what stands for a call of `LOAD`, and the steps that it took.
        dense: whether a large one may take two steps per byte, not one per four: it holds records alone.

    Returns:
        dicts, lists, tuples, scalars and stand-ins; and the byte after the pickle.

    Raises:
        ParamtoolError: for a pickle that is broken, or takes too long.
    """
    machine = PickleStack(span, {} if storages is None else storages, load)
    size = span.end - span.start
    most = max(
        MOST_STEPS, min(2 * size, _HIGHEST_STEPS_OF_RECORDS) if dense else min(size // 4, _HIGHEST_STEPS)
    )
    collects = gc.isenabled()
    gc.disable()  # which would look at all that was made, again and again
    try:
        return _run(machine, most), machine.position
    except EndsEarly as error:
        is_last = span.end >= span.file.size  # else an archive has it whole
        message = "its pickle ends too early; the file was cut off" if is_last else "its pickle is broken"
        raise ParamtoolError(message) from error
    except (Broken, LookupError, struct.error, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise ParamtoolError("its pickle is broken") from error
    finally:
        if collects:
            gc.enable()


def _run(machine: PickleStack, most: int) -> Any:
    while machine.steps < most:
        at = machine.at
        if at >= len(machine.window):
            machine.refill(1)
            at = 0
        code = machine.window[at]
        machine.at = at + 1
        machine.steps += 1
        if code == 0x2E:  # STOP
            return machine.stack.pop()
        OPCODES[code](machine)
    raise ParamtoolError(f"its pickle takes more than {most:,} steps")
