"""The groups of options in ``--help``: each option names its own, as Typer's ``rich_help_panel``.

    Annotated[bool, typer.Option("--stats", help="…", rich_help_panel=panels.OUTPUT)]
    Annotated[bool, typer.Option("--verify", help="…", rich_help_panel=panels.rare(panels.MODEL))]

``--help`` explains the usual options and names the rare ones; ``--help-all`` explains all.  An option
without a group is a rare one of the last.
"""

from __future__ import annotations


class Panel(str):
    """The title of a group; whether it is that of options that few people need."""

    __slots__ = ()
    is_rare = False


class _Rare(Panel):
    __slots__ = ()
    is_rare = True


def rare(panel: Panel) -> Panel:
    """Return the group for an option that ``--help`` names and ``--help-all`` explains."""
    return _Rare(panel)


SELECT = Panel("Select")
INITIALIZERS = Panel("Initializers")
EXPECT = Panel("Expect")
COMPARE = Panel("Compare")
RESHAPE = Panel("Reshape")
INPUT_AND_LOSS = Panel("Input and loss")
GRADIENTS = Panel("Gradients")
OUTPUT = Panel("Output")
MODEL = Panel("Model")
OTHER = Panel("Other")

ORDER = (INPUT_AND_LOSS, GRADIENTS, SELECT, INITIALIZERS, RESHAPE, EXPECT, COMPARE, OUTPUT, MODEL, OTHER)
"""From what is looked for first to what is looked for last."""


def panel_of(option: object) -> Panel:
    """Return the group of an option of Typer's."""
    panel = getattr(option, "rich_help_panel", None)
    return panel if isinstance(panel, Panel) else rare(OTHER)
