"""The checkpoints of a folder, where no single one comes first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.records.column import COUNT, NAME, column
from paramtool.records.report import Report, Sums

COLUMNS = ("name", "format", "tensors", "elements", "nbytes", "note")

_NUMBER = column("number", unknown="?", drop=10)


@dataclass(frozen=True, kw_only=True)
class CheckpointRow:
    """One checkpoint.

    Attributes:
        name: its file name.
        format: what the file is: ``safetensors``, ``torch.save``; None where it could not be opened.
        tensors: how many it lists, tied names once.
        elements: how many they have.
        nbytes: the bytes of these.
        note: why it was not opened.
        count: 1; no two files fold.
    """

    name: str = field(metadata=NAME)
    format: str | None = field(
        default=None, metadata=column(unknown="?", drop=11, tone="accent", labelled=False)
    )
    tensors: int | None = field(default=None, metadata=_NUMBER)
    elements: int | None = field(default=None, metadata=_NUMBER)
    nbytes: int | None = field(
        default=None, metadata=column("bytes", unknown="?", tone="quiet", labelled=False)
    )
    note: str | None = field(default=None, metadata=column(shown="filled", wraps=True, tone="bad"))
    count: int = field(default=1, metadata=COUNT)


@dataclass(frozen=True, kw_only=True)
class CheckpointTotals(Sums):
    """Sums over the checkpoints of a folder.

    Attributes:
        checkpoints: number of files that may be meant.
        opened: number of those that could be opened.
        nbytes: bytes of their tensors.
    """

    row = CheckpointRow

    checkpoints: int
    opened: int
    nbytes: int


Checkpoints: TypeAlias = Report[CheckpointRow, CheckpointTotals]
