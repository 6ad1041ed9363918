"""What there is to say before a conversion: what the sources hold beside it, and what its ties become."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.operations.conversion.container import Kind
from paramtool.operations.conversion.plan import Plan
from paramtool.operations.conversion.sources import Sources
from paramtool.operations.listing.checkpoint import stored
from paramtool.operations.listing.contents import told
from paramtool.operations.sharing.checkpoint_layout import layout_of_checkpoint
from paramtool.operations.sharing.groups import share
from paramtool.quantities import and_more, byte_size, counted

if TYPE_CHECKING:
    from paramtool.operations.conversion.execution import Orders


def contents(sources: Sources) -> Iterator[str]:
    """Yield what there is to say of each source, and what else it holds, which stays behind."""
    for each in sources.checkpoints:
        yield from each.notes
        beside = told(each)
        if beside is not None:
            yield f"{beside} (left out)"


def before(plan: Plan, orders: Orders) -> Iterator[str]:
    """Yield what there is to say of a plan."""
    copies = plan.copies
    if copies and not plan.ties_are_stored and "--untie" not in plan.rules:
        first, second = copies[0]
        more = sum(plan.sizes[each.name] for _, each in copies)
        verb = "is" if len(copies) == 1 else "are"
        again = f"'{second.name}'{and_more(len(copies) - 1)} {verb} stored again ({byte_size(more)})"
        subject = "it" if len(copies) == 1 else f"'{second.name}'"
        why = f"{subject} is tied to '{first.name}', but load_file returns only names that are stored"
        once = f"--tie {first.name} {second.name} stores it once, with the tie in the metadata"
        yield f"{again}: {why}; {once}"
    for each in plan.sources.checkpoints:
        groups = _overlaps(each)
        if groups:
            found = f"{counted(groups, 'group')} of tensors overlap in memory in {each.name}"
            yield f"{found}; each tensor is stored whole"
    if orders.dry_run and orders.target is not None:
        size = byte_size(sum(plan.sizes.values()))
        where = "the folder " if orders.kind is Kind.folder else ""
        yield f"without --dry-run this writes {size} to {where}{orders.target}"


def _overlaps(checkpoint: Checkpoint) -> int:
    """Return how many groups of different tensors are over the same memory."""
    if not any(each.storage is not None for each in checkpoint.tensors):
        return 0
    return share(layout_of_checkpoint(checkpoint, stored(checkpoint))).totals.aliased
