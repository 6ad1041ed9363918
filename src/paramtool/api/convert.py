"""Reshape checkpoints without their model: ``paramtool convert``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path

from paramtool.api.conversion_rules import Written, read_rules
from paramtool.api.target import Target
from paramtool.cores import available_cores
from paramtool.errors import BadArgument
from paramtool.models.open import open_checkpoint
from paramtool.operations.conversion.container import Kind
from paramtool.operations.conversion.execution import FAILURES, Conversions, Orders
from paramtool.operations.conversion.notes import before, contents
from paramtool.operations.conversion.plan import plan
from paramtool.operations.conversion.sources import Prefer, Sources
from paramtool.records.conversion import Conversion

Source = str | PathLike[str]


def convert(
    sources: Source | Sequence[Source],
    output: str | PathLike[str] | Target | None = None,
    rules: Sequence[Written] = (),
    *,
    prefer: str | None = None,
    metadata: Mapping[str, str] | None = None,
    keep_metadata: bool = True,
    max_shard_size: int | None = None,
    force: bool = False,
    dry_run: bool = False,
    digests: bool = False,
    fail_on: Collection[str] = (),
    tell: Callable[[str], object] = lambda _: None,
) -> Conversion:
    """Write the tensors of checkpoints to another file, as `rules` say in their order.

    Every complaint comes before a byte is written; afterwards everything is read back and compared.
    Nothing is loaded as a whole, and torch is not imported.

    Example:
        >>> import tempfile, torch
        >>> folder = Path(tempfile.mkdtemp())
        >>> torch.save({"module.weight": torch.ones(2, 3)}, folder / "ddp.pt")
        >>> rules = [("strip-prefix", "module."), ("dtype", "bfloat16")]
        >>> report = convert(folder / "ddp.pt", folder / "clean.safetensors", rules)
        >>> [(row.was, row.name, row.was_dtype, row.dtype) for row in report]
        [('module.weight', 'weight', 'float32', 'bfloat16')]

    Args:
        sources: a checkpoint by its name, or several; ``file.pt:key`` chooses what is in one.
        output: ``x.safetensors``; a file of torch.save by ``.pt``, ``.pth``, ``.ckpt`` or ``.bin``; else a
            folder.  Only a plan may do without.
        rules: each the name of an option of the command and its words: ``("pattern", REGEX)``, ``exclude``,
            ``name``, ``module``, ``("rename", REGEX, REPLACEMENT)``, ``("rename-from", A, B)``,
            ``strip-prefix``, ``("dtype", "bfloat16")`` or ``("dtype", "norm=float32")``,
            ``("tie", A, B)``, ``("untie",)``.
        prefer: ``first`` or ``last``: whose tensor is taken where several sources have one of a name.
        metadata: texts for the header of safetensors files.
        keep_metadata: keep those of the sources as well.
        max_shard_size: bytes of tensors in one file of a folder at most.
        force: replace what is there.
        dry_run: plan only.
        digests: add the SHA-256 of each tensor.
        fail_on: what may not happen to an element: ``overflow``, ``underflow``, ``nan``.
        tell: is called with each note.

    Raises:
        BadArgument: for an argument that makes no sense.
        CannotOpen: for a source that is not a checkpoint.
        RuleMatchedNothing: if a rule matches nothing.
        DoesNotMatch: if names collide.
        Unmet: if something of `fail_on` happens.
        ParamtoolError: if the files cannot be written.
    """
    given = [sources] if isinstance(sources, (str, PathLike)) else list(sources)
    target = Target(Path(output), max_shard_size, force) if isinstance(output, (str, PathLike)) else output
    _check(given, target, prefer, fail_on, dry_run)
    orders = Orders(
        target.path if target else None, target.max_shard_size if target else max_shard_size,
        target.force if target else force, metadata, keep_metadata, digests, fail_on, dry_run,
        (target.jobs if target else 0) or available_cores(),
    )  # fmt: skip
    ties_are_stored = orders.kind is Kind.archive
    opened = Sources([open_checkpoint(fspath(each)) for each in given])
    for note in contents(opened):
        tell(note)
    preferred: Prefer | None = None if prefer is None else "last" if prefer == "last" else "first"
    planned = plan(
        opened, read_rules(rules), prefer=preferred, ties_are_stored=ties_are_stored, jobs=orders.jobs
    )
    conversions = Conversions(planned, orders)
    for note in before(planned, orders):
        tell(note)
    if target is None:
        return conversions.report()
    with target.progress(conversions.nbytes) as progress:
        return conversions.report(progress)


def _check(
    sources: Sequence[Source],
    target: Target | None,
    prefer: str | None,
    fail_on: Collection[str],
    dry_run: bool,
) -> None:
    if not sources:
        raise BadArgument("there is nothing to convert", hint="name a checkpoint")
    if target is not None and target.part is not None:
        raise BadArgument("convert writes all files by one process; its Target has no part")
    if target is None and not dry_run:
        raise BadArgument("convert needs an output", hint="-o PATH, or --dry-run for a plan")
    if prefer not in (None, "first", "last"):
        raise BadArgument(f"prefer must be first or last, got {prefer!r}")
    wrong = [each for each in fail_on if each not in FAILURES]
    if isinstance(fail_on, str) or wrong:
        raise BadArgument(f"fail_on takes {', '.join(FAILURES)}, got {wrong[0] if wrong else fail_on!r}")
