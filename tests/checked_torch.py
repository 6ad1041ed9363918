"""The torch that the shipped catalogue and table of structure were checked against, and others."""

from __future__ import annotations

from paramtool.language.catalog import shipped
from paramtool.language.torch_source import installed_source

_SOURCE = installed_source()
INSTALLED = _SOURCE.version if _SOURCE else ""
"""The version of the installed torch, without its local part."""

IS_CHECKED = shipped().torch == INSTALLED
"""Whether that is the torch that they were checked against."""


def checked_against(version: str) -> str:
    """Return Python code after which catalogue and table pass for checked against `version` of torch."""
    return f"""
from paramtool.language import catalog
from paramtool.structure import facts
vars(catalog.shipped())["torch"] = vars(facts.shipped_facts())["torch"] = {version!r}
"""
