"""How Sphinx builds docs/: ``make docs``.  Nothing here or in the pages needs a network."""

import os

import paramtool

project = "paramtool"
author = "the paramtool authors"
copyright = author  # noqa: A001 - Sphinx's name
version = release = paramtool.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
suppress_warnings = ["config.cache"]
nitpicky = True
default_role = "code"  # single backticks in docstrings are code, as in Markdown

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "paramtool"
html_show_sphinx = False
pygments_style, pygments_dark_style = "sphinx", "monokai"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False
# What is documented elsewhere: Sphinx would need a network to link to it.
nitpick_ignore_regex = [
    ("py:.*", r"(torch|numpy|np|collections|typing|os|pathlib|nn|builtins)(\..*)?"),
    ("py:.*", r"(Any|Mapping|Sequence|Iterable|Iterator|Callable|Tensor|Module|PathLike|Path|Literal).*"),
    (
        "py:.*",
        r"paramtool\.(models|records|render|operations|files|elements|place|language|network|plugins)\..*",
    ),
    ("py:.*", r"[A-Z]\w*"),
]
os.environ["COLUMNS"] = "100"
