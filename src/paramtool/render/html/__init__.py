"""One Report in, one page out that a browser shows without a network; or its view alone, in a notebook.

page            the document: the policy that lets nothing in, styles, the view, the script
  view          what is shown of a report, whatever it is of: a heading, its parts, its totals
    listing     `inspect`: a tree of modules with bars, and the table
    costs       `inspect --cost`: the memory, and where the operations are
    plan        `init`: the rules, and each tensor before and after them
    sharing     `shared`: names of one tensor, and the bytes where tensors overlap
    norms       `grad`: a bar for each layer, parameter and use; `curves` for its ``--layers``
    changes     `diff`: the `heat_map` of what changed, was and now
    outcome     `check`: broken, then kept
    layers      which layer a name is in, for `norms` and `heat_map`
notebook        the view with styles of its own, without a script
element_grid    elements of a small tensor as squares
table           rows as a table, which the script sorts and filters
module_tree     modules that fold; `budget` bounds what is drawn of a large model
drawings        bars, histograms and strips of bytes as SVG
markup          elements, and text that stays text
assets/         styles and script, put into the page as they are
"""
