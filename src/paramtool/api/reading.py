"""Read what a checkpoint or a snapshot has, from Python and for the command line."""

from __future__ import annotations

from os import PathLike, fspath

from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.models.open import Buildable, open_model
from paramtool.models.snapshot import Snapshot
from paramtool.operations.listing.remembered import remembered
from paramtool.operations.listing.stored import part_of, stored
from paramtool.records.parameter import Listing


def read(
    path: str | PathLike[str],
    *,
    module: str | None = None,
    stats: bool = False,
    values: bool = False,
    jobs: int = 1,
) -> Listing:
    """List the named tensors of a checkpoint or a snapshot; torch is imported only for its elements.

    Example:
        >>> import torch
        >>> torch.save(torch.nn.Linear(4, 3).state_dict(), "linear.pt")
        >>> [(row.name, row.shape) for row in read("linear.pt").rows]
        [('weight', (3, 4)), ('bias', (3,))]

    Args:
        path: a safetensors file, what ``torch.save`` wrote, a folder of shards, their index, or the JSON of
            ``paramtool inspect``; ``checkpoint.pt:ema`` is one of several state_dicts.
        module: only what is below this dotted path, by its own names.
        stats: add mean, std, min, max, norm, counts of zeros, NaN and infinity, and a histogram.
        values: add the elements.
        jobs: threads that compute statistics; no number depends on them.

    Raises:
        ParamtoolError: where the file is none of these, or broken.
    """
    model = open_model(fspath(path))
    if isinstance(model, Buildable):
        hint = "paramtool.parameters lists those of a module"
        raise ParamtoolError(f"{model.name} is no checkpoint and no snapshot", hint=hint)
    return listed(model, module=module, stats=stats, values=values, jobs=jobs)


def listed(
    model: Checkpoint | Snapshot,
    *,
    module: str | None = None,
    stats: bool = False,
    values: bool = False,
    jobs: int = 1,
) -> Listing:
    """Do what `read` does with what is open already."""
    if isinstance(model, Snapshot):
        return remembered(model.report, model.name, module=module, stats=stats, values=values)
    part = part_of(model, module) if module else model
    report = stored(part)
    if not (stats or values):
        return report
    from paramtool.tensors.elements import CheckpointElements
    from paramtool.tensors.measurement import measured

    missing = {each.name for each in part.tensors if each.missing is not None}
    return measured(report, CheckpointElements(part), stats=stats, values=values, jobs=jobs, missing=missing)
