"""How deep names are told apart: a file of a stranger's may say ``a.a.a…`` for a megabyte."""

from __future__ import annotations

MOST_PARTS = 64
"""Levels of modules; what is deeper is one last part, so that walks need no deep stack."""
