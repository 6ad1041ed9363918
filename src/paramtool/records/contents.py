"""What a checkpoint is and holds beside the tensors that are listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.records.column import COUNT, KIND, NAME, column
from paramtool.records.parameter import DtypeSum
from paramtool.records.report import Part, Report, Sums

COLUMNS = ("kind", "name", "type", "tensors", "nbytes", "value")

PART_COLUMNS = COLUMNS[1:]
METADATA_COLUMNS = ("name", "value")


@dataclass(frozen=True)
class ContentRow:
    """One top-level entry of a checkpoint beside the tensors that are listed.

    Attributes:
        name: its key, or its dotted path.
        type: the class of what it is: ``dict``, ``int``, ``argparse.Namespace``; ``file`` for a file beside.
        tensors: how many tensors it holds.
        nbytes: the bytes of their elements; of a file, its size.
        value: what it is, as text, if it is short plain data; else None.
        kind: ``part``; ``attribute`` for what a module holds as a plain attribute; ``metadata`` for a text
            that the format keeps beside the tensors.
        count: 1; no two entries fold.
    """

    name: str = field(metadata=NAME)
    type: str = field(metadata=column(drop=10, tone="accent", labelled=False))
    tensors: int = field(default=0, metadata=column("number", "filled", usual=(0,)))
    nbytes: int = field(
        default=0, metadata=column("bytes", "filled", usual=(0,), tone="quiet", labelled=False)
    )
    value: str | None = field(default=None, metadata=column(shown="filled", wraps=True))
    kind: str = field(default="part", metadata=KIND)
    count: int = field(default=1, metadata=COUNT)


@dataclass(frozen=True)
class Origin:
    """The files that a listing was read from.

    Attributes:
        format: what they are, for people: ``safetensors``, ``torch.save``, ``TorchScript``.
        contents: what else they hold.
        metadata: texts that they carry.
    """

    format: str
    contents: tuple[ContentRow, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ContentTotals(Sums):
    """Sums over what a checkpoint holds beside the tensors that are listed.

    Attributes:
        format: what the files are.
        parts: number of entries.
        tensors: number of tensors in them.
        nbytes: bytes of these.
        metadata: number of texts that the format keeps.
        dtypes: elements and bytes of the tensors that are listed, for each dtype.
    """

    row = ContentRow
    tells_of_none = True

    format: str
    parts: int
    tensors: int
    nbytes: int
    metadata: int
    dtypes: Mapping[str, DtypeSum]


Contents: TypeAlias = Report[ContentRow, ContentTotals]


def contents_of(origin: Origin, model: str, dtypes: Mapping[str, DtypeSum]) -> Contents:
    """Return what `origin` says as a report: the parts, then the texts of the metadata.

    Args:
        origin: of the listing.
        model: what it is called.
        dtypes: of the tensors that are listed.
    """
    texts = tuple(
        ContentRow(key, "str", value=text, kind="metadata") for key, text in origin.metadata.items()
    )
    parts = [Part(("part", "attribute"), PART_COLUMNS)] if origin.contents or not texts else []
    parts += [Part(("metadata",), METADATA_COLUMNS)] if texts else []
    totals = ContentTotals(
        format=origin.format,
        parts=len(origin.contents),
        tensors=sum(each.tensors for each in origin.contents),
        nbytes=sum(each.nbytes for each in origin.contents),
        metadata=len(texts),
        dtypes=dtypes,
    )
    return Report("contents", model, (*origin.contents, *texts), totals, COLUMNS, parts=tuple(parts))
