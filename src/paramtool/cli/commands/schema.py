"""``paramtool schema``: the JSON Schema of specs."""

from __future__ import annotations

from importlib.resources import files

from paramtool.cli import console


def schema() -> None:
    """Print the JSON Schema of specs.

    Editors use it to complete and check a spec.  It has every torch.nn module, with its
    arguments and their types.
    """
    console.write([files("paramtool.language").joinpath("schema.json").read_text("utf-8")])
