"""The totals in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from paramtool.quantities import and_more, byte_size, counted, left_out
from paramtool.records.report import Report
from paramtool.render.names import shown

if TYPE_CHECKING:
    from paramtool.records.checkpoints import CheckpointTotals
    from paramtool.records.contents import ContentTotals
    from paramtool.records.conversion import ConversionTotals
    from paramtool.records.cost import CostTotals, InferenceMemory, TrainingMemory
    from paramtool.records.definitions import DefinitionTotals
    from paramtool.records.difference import DifferenceTotals
    from paramtool.records.expectation import ExpectationTotals
    from paramtool.records.gradient import GradientTotals
    from paramtool.records.initialization import InitializationTotals
    from paramtool.records.initializer import InitializerTotals
    from paramtool.records.models import ModelTotals
    from paramtool.records.parameter import ParameterTotals
    from paramtool.records.sharing import SharedModule, SharingTotals

MOST_MODULES = 5
"""Modules with several paths that are shown one by one."""

MOST_PATHS = 4
"""Paths of one module that are all shown."""


def summary(report: Report[Any, Any]) -> list[str]:
    """Return the lines below a table: the totals, and how many names are folded into how many lines."""
    lines = _SENTENCES[type(report.totals).__name__](report.totals)
    if report.command == "cost":
        lines += _lines_of_cost(report)
    if report.others is not None:
        others = report.others
        lines.append(
            f"{counted(others.names, 'other name')} with {counted(others.numel, 'element')},"
            f" {byte_size(others.nbytes)}"
        )
    lines += _left_out(report)
    names = sum(row.count for row in report.rows)
    if names != len(report.rows):
        things = {"diff": "differences", "cost": "modules"}
        is_of_blocks = any(".." in row.name or "*" in row.name for row in report.rows)  # and not of --depth
        hint = "; --all shows each" if is_of_blocks else ""
        noun = things.get(report.command, "names")
        lines.append(f"{names:,} {noun} in {counted(len(report.rows), 'line')}{hint}")
    return lines


def _left_out(report: Report[Any, Any]) -> list[str]:
    """Return how many elements the statistics of a listing leave out."""
    if report.totals.row.__name__ != "ParameterRow":
        return []
    rows = [row for row in report.rows if row.counted]
    said = left_out(sum(row.nan or 0 for row in rows), sum(row.inf or 0 for row in rows))
    return [said] if said else []


def _parameters(totals: ParameterTotals) -> list[str]:
    tensors = counted(totals.tensors, "tensor")
    if totals.names != totals.tensors:
        tensors += f" under {totals.names:,} names"
    lines = [f"{counted(totals.parameters, noun_of(totals))} in {tensors}, {byte_size(totals.nbytes)}"]
    if totals.trainable is not None:
        lines[0] += f"; {totals.trainable:,} trainable, {totals.frozen:,} frozen"
    if totals.buffers:
        lines.append(f"{counted(totals.buffers, 'buffer element')}, {byte_size(totals.buffer_nbytes)}")
    if totals.uninitialized:
        lines.append(f"{counted(totals.uninitialized, 'tensor')} uninitialized, not in the totals")
    return lines


def _cost(totals: CostTotals) -> list[str]:
    shapes = [
        ", ".join(f"{list(each.shape)} {shown(each.dtype)}" for each in side)
        for side in (totals.inputs, totals.outputs)
    ]
    lines = [
        f"{counted(totals.macs, 'MAC')} from {shapes[0] or 'no input'} to {shapes[1] or 'no tensor'}",
        f"inference: {_memory(totals.inference, ('parameters', 'buffers', 'activations'))}",
    ]
    parts = ("parameters", "buffers", "gradients", "states", "activations")
    return [*lines, *(f"training with {each.optimizer}: {_memory(each, parts)}" for each in totals.training)]


def _memory(memory: InferenceMemory | TrainingMemory, parts: Sequence[str]) -> str:
    sizes = {part: getattr(memory, part) for part in parts}
    sizes = {part: size for part, size in sizes.items() if size or part == "parameters"}
    added = " + ".join(f"{part} {byte_size(size)}" for part, size in sizes.items())
    return f"{byte_size(memory.total)} = {added}"


def _lines_of_cost(report: Report[Any, Any]) -> list[str]:
    """Return the sums of the lines, if some modules are left out."""
    macs, saved = (sum(getattr(row, each) for row in report.rows) for each in ("macs", "activation_nbytes"))
    totals = report.totals
    if (macs, saved) == (totals.macs, totals.activation_nbytes):
        return []
    return [f"these lines: {counted(macs, 'MAC')}, saved activations {byte_size(saved)}"]


def _contents(totals: ContentTotals) -> list[str]:
    found = [counted(totals.parts, "part")] if totals.parts else []
    if totals.tensors:
        found[0] += f" with {counted(totals.tensors, 'tensor')}, {byte_size(totals.nbytes)}"
    if totals.metadata:
        found.append(counted(totals.metadata, "text") + " of metadata")
    beside = " and ".join(found) or "nothing"
    lines = [f"{beside} beside the tensors; format {shown(totals.format or 'unknown')}"]
    listed = [
        f"{counted(each.elements, f'{shown(dtype)} element')}, {byte_size(each.nbytes)}"
        for dtype, each in totals.dtypes.items()
    ]
    return [*lines, f"the tensors: {'; '.join(listed)}"] if listed else lines


def _checkpoints(totals: CheckpointTotals) -> list[str]:
    unread = totals.checkpoints - totals.opened
    lines = [f"{counted(totals.checkpoints, 'checkpoint')}, {byte_size(totals.nbytes)}"]
    if unread:
        lines[0] += f"; {unread:,} not opened"
    return lines


def _models(totals: ModelTotals) -> list[str]:
    elements = f"{counted(totals.numel, 'element')} in {counted(totals.tensors, 'tensor')}"
    lines = [f"{counted(totals.models, 'model')}: {elements}, {byte_size(totals.nbytes)}"]
    if totals.failed:
        lines[0] += f"; {totals.failed:,} cannot be listed"
    return lines


def _definitions(totals: DefinitionTotals) -> list[str]:
    return [f"{counted(totals.definitions, 'module')} defined; the file was not run"]


def _initialization(totals: InitializationTotals) -> list[str]:
    touched = "no rules"
    if totals.rules:
        tensors = counted(totals.tensors, "tensor")
        rules = counted(len(totals.rules), "rule")
        touched = f"{counted(totals.parameters, 'parameter')} in {tensors} by {rules}"
    lines = [f"{touched}; {counted(totals.untouched, 'tensor')} untouched"]
    if totals.part is not None:
        lines.append(f"part {totals.part}: {_written(totals)}; {_still_missing(totals.missing)}")
    elif totals.nbytes is not None:
        lines.append(_written(totals))
    return lines


def _written(totals: InitializationTotals) -> str:
    if not totals.files:
        return "nothing to write"
    first = shown(totals.files[0])
    return f"wrote {byte_size(totals.nbytes or 0)} to {first}{and_more(len(totals.files) - 1)}"


def _still_missing(names: tuple[str, ...]) -> str:
    if not names:
        return "the folder is complete"
    return f"still missing: {shown(names[0])}{and_more(len(names) - 1)}"


def _conversion(totals: ConversionTotals) -> list[str]:
    names = f" under {totals.names:,} names" if totals.names != totals.tensors else ""
    changes = {"renamed": totals.renamed, "cast": totals.cast, "left out": totals.left_out}
    said = ", ".join(f"{number:,} {what}" for what, number in changes.items() if number)
    lines = [
        f"{counted(totals.tensors, 'tensor')}{names}, {byte_size(totals.nbytes)}{f'; {said}' if said else ''}"
    ]
    lost = {"overflowed": totals.overflowed, "became zero": totals.vanished, "NaN": totals.nan}
    if any(lost.values()):
        told = [f"{number:,} {what}" for what, number in lost.items() if number]
        lines.append(f"elements lost by the cast: {', '.join(told)}")
    if totals.files:
        lines.append(f"wrote {shown(totals.files[-1])}{and_more(len(totals.files) - 1)}")
    return lines


def _gradients(totals: GradientTotals) -> list[str]:
    tensors = counted(totals.tensors, "tensor")
    if totals.names != totals.tensors:
        tensors += f" under {totals.names:,} names"
    found = [f"{number:,} {verdict}" for verdict, number in totals.verdicts.items() if number]
    if totals.frozen:
        found.append(f"{totals.frozen:,} frozen")
    passes = f", over {totals.steps:,} passes" if totals.steps > 1 else ""
    lines = [f"{counted(totals.parameters, 'parameter')} in {tensors}{passes}: {', '.join(found)}"]
    if totals.residual is not None:
        lines.append(
            f"{counted(totals.uses or 0, 'use')} {'adds' if totals.uses == 1 else 'add'} up to the gradients;"
            f" residual {totals.residual:.2g}"
        )
    return lines


def _initializers(totals: InitializerTotals) -> list[str]:
    added = f", {totals.plugins:,} of them from plugins" if totals.plugins else ""
    return [f"{counted(totals.initializers, 'initializer')}{added}; give a NAME to explain one"]


def _sharing(totals: SharingTotals) -> list[str]:
    lines = [_one_module(each) for each in totals.modules[:MOST_MODULES]]
    if len(totals.modules) > MOST_MODULES:
        more = len(totals.modules) - MOST_MODULES
        lines.append(f"{counted(more, 'more module')} {'has' if more == 1 else 'have'} several names")
    if totals.groups:
        saved = f"; sharing saves {byte_size(totals.saved_nbytes)}" if totals.tied or totals.aliased else ""
        lines.append(
            f"{counted(totals.tensors, 'tensor')} under {totals.names:,} names in"
            f" {counted(totals.groups, 'group')}, {byte_size(totals.nbytes)}{saved}"
        )
    else:
        lines.append("no tensor is shared")
    if totals.equal:
        groups = f"{counted(totals.equal, 'group')} {'has' if totals.equal == 1 else 'have'} equal values"
        lines.append(f"{groups}; ties would save {byte_size(totals.savable_nbytes)}")
    if totals.constant:
        lines.append(f"{counted(totals.constant, 'tensor')} with a single value left out")
    return lines


def _differences(totals: DifferenceTotals) -> list[str]:
    from paramtool.render.difference_text import lines

    return lines(totals)


def _one_module(module: SharedModule) -> str:
    paths = [shown(path) for path in module.paths]
    listed = f"{', '.join(paths[:-1])} and {paths[-1]}"
    if len(paths) > MOST_PATHS:
        listed = f"{paths[0]}, {paths[1]} … {paths[-1]} ({len(paths):,} paths)"
    return f"{listed} are one module, {shown(module.type)}"


def _expectations(totals: ExpectationTotals) -> list[str]:
    outcome = f"{totals.broken:,} broken" if totals.broken else "all kept"
    if totals.broken and totals.kept:
        outcome = f"{totals.kept:,} kept, {outcome}"
    found = [f"{counted(totals.expectations, 'expectation')}: {outcome}"]
    failed = [f"{counted(totals.failed, 'model')} cannot be checked"] if totals.failed else []
    return ["; ".join([*(found if totals.expectations or not failed else ()), *failed])]


def noun_of(totals: ParameterTotals) -> str:
    """Return the noun for the count: parameters, or elements if buffers may be among them."""
    return "parameter" if totals.elements is None else "element"


_SENTENCES: dict[str, Callable[[Any], list[str]]] = {
    "ParameterTotals": _parameters,
    "CostTotals": _cost,
    "CheckpointTotals": _checkpoints,
    "ContentTotals": _contents,
    "DefinitionTotals": _definitions,
    "ModelTotals": _models,
    "InitializationTotals": _initialization,
    "ConversionTotals": _conversion,
    "GradientTotals": _gradients,
    "InitializerTotals": _initializers,
    "SharingTotals": _sharing,
    "DifferenceTotals": _differences,
    "ExpectationTotals": _expectations,
}
"""By the name of the totals' class, so that no record is loaded but the one that is there."""
