"""Structure without torch: what the modules of a spec have, from a table of torch.nn.

    unsure            the one way out: what is not certain is asked of torch
    facts             what was read off the installed torch, shipped as facts.json
    modules           modules and tensors, and deep copies of them
    layer             what the table writes on
    linear_layers, convolutions, normalizations, recurrent_layers, transformers, losses, plain_layers
                      what each class has, by its arguments
    table             all of these
    written_tensors   the tensors that a spec writes down
    assembly          from the tree of a spec to modules
    statements        tie and freeze
    reports           listing, layout and places: the answers

Never a second opinion: `Unsure` is raised unless torch would build exactly this without an error or a
warning.  A property test holds every class of the table to torch.
"""

from paramtool.structure.reports import layout, listing, places
from paramtool.structure.unsure import Unsure

__all__ = ["Unsure", "layout", "listing", "places"]
