"""Read a size from the command line as a spec has it: ``--max-shard-size 5GB``."""

from __future__ import annotations

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.arguments import mismatch
from paramtool.language.nodes import Scalar
from paramtool.language.signature import Argument
from paramtool.language.values import Mismatch, convert
from paramtool.place import Text
from paramtool.quantities import SIZES, between


def read_size(option: str, given: str, command: str) -> int:
    """Return the bytes that were typed: ``5GB``, ``512 MiB``, ``1.5G``, or a plain number.

    Args:
        option: ``--max-shard-size``, where it was typed.
        given: what was typed.
        command: what the option is of.

    Raises:
        ParamtoolError: where it is no size, or less than one byte.
    """
    written = given.strip()
    text = Text(f"{option} {shorten(given)}", "", is_option=True)
    node = Scalar(text, 1, 1, written, written)
    argument = Argument(option.lstrip("-"), "size")
    try:
        convert(node, argument.parsed_type, ())
    except Mismatch:
        raise mismatch(command, argument, node) from None
    size = between(None, written, SIZES).most
    if not size:
        raise ParamtoolError(f"the size '{shorten(given)}' is less than one byte", node.place)
    return size
