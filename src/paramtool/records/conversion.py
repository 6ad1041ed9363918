"""What a conversion wrote, or would write, and what it left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.records.column import COUNT, DTYPE, INTERNAL, NAME, NBYTES, SHAPE, TIED_TO, column
from paramtool.records.constructor import built_at_once
from paramtool.records.report import Report, Sums

PLAN_COLUMNS = (
    "name", "was", "source", "shape", "was_dtype", "dtype", "nbytes", "tied_to", "left_out", "file",
)  # fmt: skip
LOSS_COLUMNS = ("overflowed", "vanished", "nan")

_LOST = column("number", "filled", usual=(0,), tone="bad", pooled="sum")


@built_at_once
@dataclass(frozen=True, kw_only=True)
class ConversionRow:
    """One name that is written, or left out.

    Attributes:
        name: what it is called in the file; one that is left out, in its source.
        was: what it is called in its source, if it was renamed.
        source: the source that has it, if there are several.
        shape: sizes.
        was_dtype: the dtype in the source, if it was cast.
        dtype: the dtype in the file; of one that is left out, in its source.
        nbytes: the bytes of its elements.
        tied_to: the name of the tensor that it shares; its own elements are then stored nowhere else.
        left_out: why it is left out; None for what is written.
        overflowed: elements too large for the dtype; None if they were not counted.
        vanished: elements other than zero that became zero.
        nan: elements that are NaN; None where nobody looked, as in tensors that are not cast.
        file: where it is written, the name of a shard in a folder.
        sha256: of its bytes in the file.
        count: the number of names this row stands for; 1 but for folded rows.
        kind: what rows fold with: a name may be written, and left out of another source.
    """

    name: str = field(metadata=NAME)
    was: str | None = field(default=None, metadata=column(shown="filled", pooled="numbered"))
    source: str | None = field(default=None, metadata=column(shown="filled"))
    shape: tuple[int, ...] = field(metadata=SHAPE)
    was_dtype: str | None = field(default=None, metadata=column(shown="filled", drop=2, tone="quiet"))
    dtype: str = field(metadata=DTYPE)
    nbytes: int = field(metadata=NBYTES)
    tied_to: str | None = field(default=None, metadata=TIED_TO)
    left_out: str | None = field(default=None, metadata=column(shown="filled", tone="gone"))
    overflowed: int | None = field(default=None, metadata=_LOST)
    vanished: int | None = field(default=None, metadata=_LOST)
    nan: int | None = field(default=None, metadata=_LOST)
    file: str | None = field(default=None, metadata=column(shown="never", pooled="first"))
    sha256: str | None = field(default=None, metadata=column(shown="never", pooled="first"))
    count: int = field(default=1, metadata=COUNT)
    kind: str = field(default="written", repr=False, metadata=INTERNAL)


@dataclass(frozen=True, kw_only=True)
class ConversionTotals(Sums):
    """The whole of a conversion.

    Attributes:
        sources: what was read.
        names: names that are written.
        tensors: tensors under these.
        nbytes: bytes of these tensors.
        source_nbytes: bytes of the tensors in the sources, those that are left out included.
        renamed, cast, left_out: names of each sort.
        overflowed, vanished, nan: elements; None if they were not counted.
        rules: every rule as it was written.
        metadata: texts that every file carries, the names of ties aside.
        files: what was written, the index last; empty for a plan.
    """

    row = ConversionRow
    fold = "block"

    sources: tuple[str, ...]
    names: int
    tensors: int
    nbytes: int
    source_nbytes: int
    renamed: int
    cast: int
    left_out: int
    overflowed: int | None = None
    vanished: int | None = None
    nan: int | None = None
    rules: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()


Conversion: TypeAlias = Report[ConversionRow, ConversionTotals]
