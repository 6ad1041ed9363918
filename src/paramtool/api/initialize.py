"""Fill the parameters of a model by rules: ``paramtool init``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from paramtool.api.arguments import check_flags, check_path, check_seed, check_type
from paramtool.api.open import live
from paramtool.api.target import Target
from paramtool.audience import worded
from paramtool.errors import BadArgument, ParamtoolError
from paramtool.models.built import BuiltModel
from paramtool.models.given import Openable
from paramtool.models.torch_import import torch_import
from paramtool.quantities import and_more, byte_size
from paramtool.records.initialization import Initialization
from paramtool.records.rule import Rule
from paramtool.structure.unsure import Unsure, require

if TYPE_CHECKING:
    from paramtool.files.writing.weights import WeightsWriter
    from paramtool.operations.rules.outline import Outline, WrittenTarget

RNGS = ("streams", "torch")


def initialize(
    model: Openable,
    rules: Sequence[Rule] | None = None,
    *,
    seed: int | None = None,
    rng: str = "streams",
    dry_run: bool = False,
    values: bool = False,
    digests: bool = False,
    output: str | PathLike[str] | Target | None = None,
    name: str | None = None,
) -> Initialization:
    """Fill parameters in place, as `rules` say from top to bottom; or write them to safetensors files.

    Every complaint comes before the first tensor is touched or a byte is written, those of plugins that
    misbehave apart.  A parametrized tensor is assigned through its module, so that the forward uses what
    was asked for.

    Example:
        >>> from torch import nn
        >>> from paramtool import Rule
        >>> rule = Rule("normal", {"std": 0.01}, pattern="weight")
        >>> initialize(nn.Linear(4, 3), [rule]).rows[0].expected_std
        0.01

    Args:
        model: a spec, ``package.module:object``, a module with values (on the meta device only for a dry
            run), or an open model.
        rules: a later rule acts on what an earlier one left; None for those of the model's spec.
        seed: of every stream; None for that of the model, else 0.
        rng: ``streams`` draws each tensor from the stream of its first name; ``torch`` does what a script
            does: ``torch.manual_seed(seed)``, the constructors, then a loop over the rules and the
            parameters.  Of a module that is there already, only the seed and the loop are left.
        dry_run: plan only.
        values: add the elements of small tensors.
        digests: add the SHA-256 of each tensor.
        output: write the initialized model to this file, block by block if that is possible.
        name: what to call the model in the report.

    Raises:
        BadArgument: for an unknown `rng`, or a state_dict in place of a module.
        RuleMatchedNothing: if a rule matches no parameter.
        Problems: with everything that stands against the plan.
        ParamtoolError: if there are no values to change, the files cannot be written, or a plugin raises,
            changes the shape or leaves elements unfilled.
    """
    _check(rules, seed, rng, output)
    check_flags(dry_run=dry_run, values=values, digests=digests)
    found = live(model, name)
    rules = found.rules if rules is None else rules
    if seed is None:
        seed = found.seed
    elif seed != found.seed and isinstance(model, (str, PathLike)):  # its constructors run with it too
        called, found = found.name, found.with_seed(seed).check_buildable()
        found.name = called
    target = Target(Path(output)) if isinstance(output, (str, PathLike)) else output
    if target is not None and not dry_run:
        return _write(found, rules, target, seed, rng, digests)
    if dry_run and rng == "streams":
        outline = found.outline()
        if outline is not None:
            with suppress(Unsure):
                return _planned(found, outline, rules, target, seed)
    with torch_import():
        from paramtool.operations.initialization.rule_application import initialize as fill
        from paramtool.operations.initialization.rule_plan import rule_notes

    built = found.network(values=not dry_run, rng=rng)
    report = fill(
        built.module, rules, seed=seed, rng=rng, dry_run=dry_run, values=values, digests=digests,
        model=found.name, rng_state=built.rng_state,
    )  # fmt: skip
    found.note(*rule_notes(built.module, rules))
    if target is not None:
        from paramtool.operations.initialization.weights_file import check_target

        found.note(_would_write(target, check_target(built.module, target.path, **target.writer_options)))
    return report


def _planned(
    model: BuiltModel, outline: Outline, rules: Sequence[Rule], target: Target | None, seed: int
) -> Initialization:
    """Plan without torch.

    Raises:
        Unsure: if torch must be asked; nothing was reported then.
    """
    report = outline.report(rules, seed)
    model.note(*outline.notes(rules))
    if target is not None:
        model.note(_would_write(target, _check_target(outline, target)))
    return report


def _would_write(target: Target, writer: WeightsWriter) -> str:
    """Say what `writer` would write, without a dry run."""
    without = f"without {worded('--dry-run', 'dry_run=True')}"
    if target.part is None:
        return f"{without} this writes {byte_size(writer.total_size)} to {target.path}"
    who = f"{without} part {target.part[0]}/{target.part[1]} writes"
    if not writer.files:
        return f"{who} nothing: {target.path} has fewer files than parts"
    names = f"{writer.files[0].name}{and_more(len(writer.files) - 1)}"
    return f"{who} {byte_size(writer.total_size)} to {target.path}: {names}"


def _write_outline(
    model: BuiltModel, outline: Outline, rules: Sequence[Rule], target: Target, seed: int, digests: bool
) -> Initialization:
    """Write the weights of a spec that need not be built; all complaints come before torch is imported.

    Raises:
        Unsure: if the module must be built; nothing was reported or written then.
    """
    planned = _refused_or_planned(outline, rules, target)
    replaced = {each.name for each in planned if each.steps and each.steps[0].replaces}
    names = [row.name for row in outline.stored if row.name not in replaced and row.numel]
    require(not outline.has_overlap, "tensors over common memory")
    fills = model.fills(outline, names)
    with torch_import():
        from paramtool.operations.initialization.weights_file import save_outline
    size = sum(row.nbytes or 0 for row in outline.stored)
    with target.progress(size) as progress:
        report = save_outline(
            outline, planned, target.path, rules, fills=fills, seed=seed, digests=digests,
            progress=progress, **target.options,
        )  # fmt: skip
    model.note(*outline.notes(rules))
    return report


def _refused_or_planned(outline: Outline, rules: Sequence[Rule], target: Target) -> Sequence[WrittenTarget]:
    """Return the plan, or raise what is wrong with it or with the target.

    Raises:
        Unsure: if torch must be asked, or both are wrong: which is reported first depends on the module.
    """
    refused: list[ParamtoolError] = []
    planned: Sequence[WrittenTarget] = ()
    try:
        planned = outline.plan(rules)
    except ParamtoolError as error:
        refused.append(error)
    try:
        _check_target(outline, target)
    except ParamtoolError as error:
        refused.append(error)
    require(len(refused) < 2, "two complaints")
    if refused:
        raise refused[0]
    return planned


def _check_target(outline: Outline, target: Target) -> WeightsWriter:
    """Refuse what writing would refuse of `target`, and return what would write."""
    from paramtool.files.writing.weights import WeightsWriter

    writer = WeightsWriter(target.path, outline.entries, **target.writer_options)
    writer.check()
    return writer


def _check(rules: object, seed: object, rng: str, output: object) -> None:
    """Refuse arguments that make no sense."""
    check_seed(seed)
    check_type("output", output, (str, PathLike, Target, type(None)), "a path or a Target")
    if isinstance(output, (str, PathLike)):
        check_path("output", output)
    if rng not in RNGS:
        raise BadArgument(f"rng must be one of {', '.join(RNGS)}, got {rng!r}")
    if isinstance(output, Target):
        output.check()
        if output.part is not None and rng == "torch":
            both = worded(
                "--part cannot be used with --rng torch", "a Target with a part is not for rng='torch'"
            )
            raise BadArgument(f"{both}: there every value follows from all values before it")
    given = () if rules is None else rules
    if not isinstance(given, (list, tuple)) or not all(isinstance(each, Rule) for each in given):
        hint = 'e.g. [paramtool.Rule("normal", {"std": 0.01}, pattern="weight")]'
        raise BadArgument("rules is a list of Rule", hint=hint)


def _write(
    model: BuiltModel, rules: Sequence[Rule], target: Target, seed: int, rng: str, digests: bool
) -> Initialization:
    """Write the weights: straight to disk if every fill is known or stored, else from memory."""
    outline = model.outline() if rng == "streams" else None
    if outline is not None:
        with suppress(Unsure):
            return _write_outline(model, outline, rules, target, seed, digests)
    with torch_import():
        from paramtool.operations.initialization.rule_application import initialize as fill
        from paramtool.operations.initialization.rule_plan import rule_notes
        from paramtool.operations.initialization.weights_file import byte_count, check_target, save

    common = {**target.options, "digests": digests, "model": model.name}
    stream = model.stream(rules=bool(rules), rng=rng)
    if stream is not None:
        module = stream.network.module
        with target.progress(byte_count(module)) as progress:
            report = save(
                module, target.path, rules, fills=stream.fills, loaded=stream.loaded, seed=seed,
                progress=progress, **common,
            )  # fmt: skip
        model.note(*stream.warnings(), *rule_notes(module, rules))
        return report
    plan = model.network(values=False).module
    check_target(plan, target.path, **target.writer_options)
    built = model.network(rng=rng)
    module = built.module
    model.note(*rule_notes(module, rules))
    done = fill(
        module, rules, seed=seed, rng=rng, digests=digests, model=model.name, rng_state=built.rng_state
    )
    with target.progress(byte_count(module)) as progress:
        return save(module, target.path, done=done, progress=progress, **common)
