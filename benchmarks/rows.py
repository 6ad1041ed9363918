"""The comparisons: what the design promises, then what else is worth a figure, then growth."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import plain
from benchmarks.checkpoints import LEGACY, LOAD, METADATA, RANKS
from benchmarks.files import Files
from benchmarks.measure import Command, Result, compare, compare_further
from benchmarks.transformer import BY_HAND, COUNTED_BY_HAND, LAYERS, MORE_LAYERS, RULES, RUN_BY_HAND

PARAMTOOL = str(Path(sys.executable).with_name("paramtool"))
CONFIGS = Path(__file__).parent.parent / "configs"

Commands = tuple[Command, ...]


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        make: writes what both sides read, and returns our command and the other; two of each where what
            the second takes beyond the first is compared.
        time, memory: the goals, as parts of what the other takes; None where there is none.
        grows: whether the other is ours with a tenth of the work: the goal of time is an exponent then.
        quick: whether `--quick` runs it.
    """

    work: str
    against: str
    make: Callable[[Files], tuple[Commands, Commands]]
    time: float | None = None
    memory: float | None = None
    grows: bool = False
    quick: bool = False

    def measure(self, files: Files, pairs: int) -> Result:
        """Run both sides."""
        ours, other = self.make(files)
        if len(ours) == 1:
            return compare(ours[0], other[0], pairs)
        return compare_further(ours, other, pairs)


def ours(*arguments: str | Path, makes: Path | None = None) -> Commands:
    """Return a command of paramtool's."""
    return (Command((PARAMTOOL, *map(str, arguments)), makes),)


def script(text: str, *arguments: str | Path, makes: Path | None = None) -> Commands:
    """Return a command that runs `text`."""
    return (Command((sys.executable, "-W", "ignore", "-c", text, *map(str, arguments)), makes),)


def rows() -> Iterator[Row]:
    """Yield all comparisons."""
    yield from _names()
    yield from _values()
    yield from _networks()
    yield from _growth()


def _names() -> Iterator[Row]:
    """Yield what needs names and shapes alone."""

    def torch(*arguments: str | Path) -> Callable[[Files], tuple[Commands, Commands]]:
        return lambda _: (ours(*arguments), script(plain.IMPORT_TORCH))

    yield Row("--help", "import torch", torch("--help"), 0.06, quick=True)
    yield Row(
        "inspect of 1,000 tensors in a file",
        "import torch",
        lambda files: (ours("inspect", files.tensors(1000)), script(plain.IMPORT_TORCH)),
        0.10,
        0.12,
        quick=True,
    )
    for name in ("gpt2", "llama3_70b"):
        spec = CONFIGS / f"{name}.yaml"
        for command in ("inspect", "shared", "check"):
            expected = ("--dtype", "float32" if name == "gpt2" else "bfloat16") if command == "check" else ()
            make = torch(command, spec, *expected)
            yield Row(f"{command} {spec.name}", "import torch", make, 0.15, 0.17, quick=name == "gpt2")
        yield Row(f"diff {spec.name} twice", "import torch", torch("diff", spec, spec), 0.15, 0.17)
    for kind, make_file in (("100,000", Files.tensors), ("100,000 unlike", Files.flat)):
        yield Row(
            f"inspect of {kind} tensors in a file",
            "safe_open, all shapes",
            lambda files, make=make_file: _listed(make(files, 100_000)),  # type: ignore[misc]
            3,
            quick=make_file is Files.tensors,
        )
    yield Row(
        "inspect gpt2.yaml -f html",
        "import torch",
        torch("inspect", CONFIGS / "gpt2.yaml", "-f", "html"),
        0.25,
    )
    yield Row("inspect -f html of 100,000 unlike tensors", "as a table", _page, 1.5)
    yield Row("diff of 100,000 renamed tensors", "safe_open of both", _renamed)
    yield Row(
        "inspect of a 90 MB file from before torch 1.6", "torch.load, names and shapes", _legacy, 0.30, 0.20
    )
    yield Row(
        "inspect of 1,000 tensors by 8 ranks (DCP)", "read_metadata, names and shapes", _ranks, 0.50, 0.30
    )


def _values() -> Iterator[Row]:
    """Yield what reads or writes elements."""
    yield Row("inspect --stats of 354 M float32", "load_file, seven reductions", _statistics, 0.20, 0.08)
    yield Row("inspect gpt2.yaml --stats -f html", "as a table", _page_of_statistics, 1.10)
    yield Row("diff --values of two 25 MB files", "import torch", _equal_values, 0.25, quick=True)
    yield Row("init -o of 354 M", "build, loop, save_file", _initialized, 0.40, 0.18)
    yield Row("init -o, each further 10^9", "the same beyond 354 M", _initialized_further, 0.22, 1.02)
    yield Row("convert 1.4 GB to bfloat16", "load_file, cast, save_file", _converted, 0.50, 0.10)


def _networks() -> Iterator[Row]:
    """Yield what runs a forward pass, on the meta device, or forward and backward."""
    yield Row(
        "inspect --cost of 124 M",
        "FlopCounterMode on meta by hand",
        lambda files: (ours("inspect", files.runnable(), "--cost"), script(COUNTED_BY_HAND)),
        1.25,
        1.25,
        quick=True,
    )
    for option, goal in (("--no-by-use", 1.08), ("--by-use", 1.20)):
        yield Row(
            f"grad {option} of 124 M",
            "forward, backward by hand",
            lambda files, option=option: (  # type: ignore[misc]
                ours("grad", files.runnable(), option),
                script(RUN_BY_HAND),
            ),
            goal,
        )


def _growth() -> Iterator[Row]:
    """Yield our commands on ten times as much."""

    def on(
        command: Sequence[str], make: Callable[[Files, int], Path], count: int
    ) -> Callable[[Files], tuple[Commands, Commands]]:
        def commands(files: Files) -> tuple[Commands, Commands]:
            small, large = make(files, count // 10), make(files, count)
            return ours(command[0], large, *command[1:]), ours(command[0], small, *command[1:])

        return commands

    def growth(work: str, make: Callable[[Files], tuple[Commands, Commands]], memory: float | None) -> Row:
        return Row(work, "itself on a tenth", make, 1.1, memory, grows=True)

    yield growth("inspect of 100,000 tensors", on(["inspect"], Files.tensors, 100_000), None)
    yield growth("inspect -f html of 100,000", on(["inspect", "-f", "html"], Files.flat, 100_000), None)
    yield growth("inspect -f jsonl of 200,000", on(["inspect", "-f", "jsonl"], Files.repeated, 100_000), None)
    yield growth("inspect --stats of a spec of 10^9", on(["inspect", "--stats"], Files.wide, 10**9), 1.1)
    yield growth("check --finite of a spec of 10^9", on(["check", "--finite"], Files.wide, 10**9), 1.1)


def _listed(path: Path) -> tuple[Commands, Commands]:
    return ours("inspect", path), script(plain.SHAPES, path)


def _page(files: Files) -> tuple[Commands, Commands]:
    path = files.flat(100_000)
    return ours("inspect", path, "-f", "html"), ours("inspect", path)


def _renamed(files: Files) -> tuple[Commands, Commands]:
    now = files.tensors(100_000, lambda name: name.replace("model", "net").replace("experts", "expert"))
    return ours("diff", files.tensors(100_000), now), script(plain.SHAPES + plain.SHAPES, now)


def _legacy(files: Files) -> tuple[Commands, Commands]:
    path = files.text("legacy.pth", "")
    script(LEGACY, path)[0].run()
    return ours("inspect", path), script(LOAD, path)


def _ranks(files: Files) -> tuple[Commands, Commands]:
    path = files.text("empty", "").with_name("ranks")
    script(RANKS, path)[0].run()
    return ours("inspect", path), script(METADATA, path)


def _statistics(files: Files) -> tuple[Commands, Commands]:
    path = files.large("354M.safetensors")
    ours("init", files.transformer(), *RULES, "-o", path, makes=path)[0].run()
    return ours("inspect", path, "--stats"), script(plain.SEVEN_REDUCTIONS, path)


def _page_of_statistics(_: Files) -> tuple[Commands, Commands]:
    typed = ("inspect", CONFIGS / "gpt2.yaml", "--stats")
    return ours(*typed, "-f", "html"), ours(*typed)


def _equal_values(files: Files) -> tuple[Commands, Commands]:
    spec, paths = files.wide(6_000_000), [files.large(f"{seed}.safetensors") for seed in "01"]
    for seed, path in enumerate(paths):
        rule = ("--pattern", ".", "--normal", "1", "--seed", str(seed))
        ours("init", spec, *rule, "-o", path, makes=path)[0].run()
    return ours("diff", *paths, "--values"), script(plain.IMPORT_TORCH)


def _initialized(files: Files) -> tuple[Commands, Commands]:
    return _initializations(files, more=False)


def _initialized_further(files: Files) -> tuple[Commands, Commands]:
    few, many = (_initializations(files, more=more) for more in (False, True))
    return few[0] + many[0], few[1] + many[1]


def _initializations(files: Files, *, more: bool) -> tuple[Commands, Commands]:
    path, layers = files.large("made.safetensors"), MORE_LAYERS if more else LAYERS
    return (
        ours("init", files.transformer(more=more), *RULES, "-o", path, makes=path),
        script(BY_HAND, path, str(layers), makes=path),
    )


def _converted(files: Files) -> tuple[Commands, Commands]:
    path, made = files.large("354M.safetensors"), files.large("bfloat16.safetensors")
    ours("init", files.transformer(), *RULES, "-o", path, makes=path)[0].run()
    return (
        ours("convert", path, "-o", made, "--dtype", "bfloat16", makes=made),
        script(plain.CAST, path, made, makes=made),
    )
