"""How Sphinx builds docs/: ``make docs``.  Nothing here or in the pages needs a network."""

import os

import paramtool
from paramtool import errors

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
_ERRORS = "|".join(name for name, each in vars(errors).items() if isinstance(each, type))
_TAKEN = "Expectation|Function|Hint|Inputs|Openable|Place|Selection|Target"
_FIELDS = "ContentRow|Origin|Others|Part|Row|Totals"
nitpick_ignore_regex = [
    # Documented elsewhere: Sphinx would need a network to link to it.
    ("py:class", r"(collections\.abc\.|os\.|torch\.)?(Callable|Collection|Mapping|PathLike|Sequence|Tensor)"),
    # Described as a tree by paramtool.errors, above all of them.
    ("py:exc", _ERRORS),
    # Types of arguments and fields, described where they are taken.
    ("py:class", rf"(paramtool\.[a-z_.]+\.)?({_TAKEN}|{_FIELDS})"),
]
os.environ["COLUMNS"] = "100"
