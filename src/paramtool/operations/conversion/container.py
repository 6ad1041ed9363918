"""The format that a path asks for, and the texts that its files carry."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from paramtool.errors import ParamtoolError
from paramtool.files.reading.signatures import SHARDING
from paramtool.files.writing.containers import Container, Safetensors, TorchArchive
from paramtool.files.writing.endings import ARCHIVES, SAFETENSORS, UNWRITTEN, ending_of, meant_by
from paramtool.operations.conversion.plan import Plan


class Kind(Enum):
    """What is written."""

    file = "a safetensors file"
    folder = "a folder of safetensors files"
    archive = "a file of torch.save"


def kind_of(path: Path | None, max_shard_size: int | None) -> Kind:
    """Return what `path` is to become, by its ending; None is a plan for nothing in particular.

    Raises:
        ParamtoolError: for the ending of another format, one that is mistyped, or shards in a file.
    """
    if path is None:
        return Kind.file
    ending, meant = ending_of(path), meant_by(path)
    if ending in UNWRITTEN or (meant is not None and max_shard_size is None):
        message = f"convert does not write {ending} files"
        if meant is None:
            raise ParamtoolError(message, hint="end PATH in .safetensors or .pt, or name a folder")
        raise ParamtoolError(message, hint=f"did you mean {meant}?").mended(str(path), str(meant))
    kind = Kind.archive if ending in ARCHIVES else Kind.file if ending == SAFETENSORS else Kind.folder
    if kind is not Kind.folder and max_shard_size is not None:
        raise ParamtoolError(
            f"--max-shard-size makes a folder of shards, but {path} ends in {ending}",
            hint=f"e.g. -o {path.with_suffix('')}",
        )
    return kind


def container_of(kind: Kind, plan: Plan) -> Container:
    """Return the format for the writer."""
    if kind is not Kind.archive:
        return Safetensors()
    return TorchArchive({name: owner.name for name, owner in plan.owners.items()}, plan.versions)


def metadata_of(plan: Plan, kind: Kind, added: Mapping[str, str], *, keep: bool) -> dict[str, str]:
    """Return the texts that every file carries: those of the sources, and those that are `added`.

    Of two sources that say different things, the first has it.

    Raises:
        ParamtoolError: if the format has no place for what is added, or a reader would take it for a tie.
    """
    if kind is Kind.archive:
        if added:
            raise ParamtoolError(
                "a file of torch.save has no place for --metadata", hint="-o x.safetensors has"
            )
        return {}
    found: dict[str, str] = {}
    for checkpoint in plan.sources.checkpoints if keep else ():
        texts = {
            key: text
            for key, text in checkpoint.metadata.items()
            if key not in checkpoint.tied and key != SHARDING
        }
        found = {**texts, **found}
    found = {"format": "pt", **found, **added}
    for key, text in found.items():
        if text in plan.owners and key not in plan.owners and key not in ("format", "paramtool"):
            hint = "leave it out" if key in added else "--no-metadata leaves it out"
            raise ParamtoolError(
                f"the metadata '{key}' is '{text}', the name of a tensor, which readers take for a tie",
                hint=hint,
            )
    return found
