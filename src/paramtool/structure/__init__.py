"""Structure without torch: the names, shapes and dtypes of a spec, from a table of torch.nn classes.

    unsure            the one way out: torch answers anything that is not certain
    facts             facts about the installed torch, shipped as facts.json
    modules           modules and tensors, and deep copies of them
    layer             one module that the table fills in
    linear_layers, convolutions, normalizations, recurrent_layers, transformers, losses, plain_layers
                      the members of each class, by its arguments
    table             all of these
    written_tensors   the tensors that a spec writes down
    assembly          from the tree of a spec to modules
    statements        tie and freeze
    reports           listing, layout and places: the answers; and paths to suggest

Never a second opinion: `Unsure` is raised unless torch would build exactly this without an error or a
warning.  A property test compares every class of the table with torch.
"""

from paramtool.structure.reports import layout, listing, places, suggestions, whole
from paramtool.structure.unsure import Unsure

__all__ = ["Unsure", "layout", "listing", "places", "suggestions", "whole"]
