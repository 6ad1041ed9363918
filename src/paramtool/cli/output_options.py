"""What ``--output`` of `init` and `convert` and the options beside it say of the files."""

from __future__ import annotations

from pathlib import Path

from paramtool.api.target import Target
from paramtool.cli.part_option import jobs_of_part, read_part
from paramtool.cli.progress import progress_bar
from paramtool.cli.typed_line import line, value_instead
from paramtool.errors import ParamtoolError


def read_target(
    output: str | None,
    max_shard_size: str | None,
    force: bool,
    jobs: int | None,
    command: str = "init",
    part: str | None = None,
) -> Target | None:
    """Return where to write, and how; None if nothing is to be written.

    Raises:
        ParamtoolError: for options that require ``--output``, for stdout, and for an invalid size.
    """
    own = read_part(part, output, max_shard_size) if command == "init" else None
    if output is None:
        given = {"--max-shard-size": max_shard_size is not None, "--force": force, "--jobs": jobs is not None}
        for option, is_given in given.items():
            if is_given:
                raise ParamtoolError(f"{option} requires --output")
        return None
    if not output:  # with shards it would be the folder one is in
        raise ParamtoolError("the PATH for --output is empty")
    if output == "-":
        raise ParamtoolError("tensors are not written to stdout", hint="-o takes a path; ./- is one called -")
    if max_shard_size is None:
        return Target(Path(output), None, force, jobs or 0, progress_bar)
    from paramtool.language.option_values import read_size  # a reader of YAML, for one word

    size = read_size("--max-shard-size", max_shard_size, command)
    return Target(Path(output), size, force, jobs or jobs_of_part(part), progress_bar, own)


def check_suffix(output: str | None, max_shard_size: str | None) -> None:
    """Refuse a name for one file that promises another format than safetensors.

    Raises:
        ParamtoolError: with the two ways out.
    """
    if output is None or max_shard_size is not None:
        return
    from paramtool.files.writing.endings import ARCHIVES, SAFETENSORS, UNWRITTEN, ending_of, meant_by

    path = Path(output)
    if path.suffix.lower() in (".html", ".htm"):
        raise ParamtoolError(
            f"-o writes safetensors, but {output} ends in {path.suffix}", hint=f"--report {output}"
        )
    ending, meant = ending_of(path), meant_by(path)
    if ending not in (*ARCHIVES, *UNWRITTEN) and meant is None:
        return
    safe = str(meant if meant and ending_of(meant) == SAFETENSORS else path.with_suffix(SAFETENSORS))
    message = f"-o writes safetensors, but {output} ends in {path.suffix}"
    hint = value_instead(("--output", "-o"), output, safe) or f"e.g. -o {safe}"
    if ending in ARCHIVES:
        hint += f"; then, for a file of torch.save: {line(['convert', safe, '-o', output])}"
    raise ParamtoolError(message, hint=hint)


def note_of_file(target: Target) -> str | None:
    """Return a note about a file without ``.safetensors``, which `convert` would make a folder."""
    if target.max_shard_size is not None:
        return None
    from paramtool.files.writing.endings import SAFETENSORS, ending_of

    if ending_of(target.path) == SAFETENSORS:
        return None
    return f"{target.path} is one safetensors file; other tools expect its name to end in {SAFETENSORS}"
