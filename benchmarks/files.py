"""What several comparisons read: specs, and safetensors files of many or of large tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.transformer import LAYERS, MORE_LAYERS, RUNNABLE, SPEC
from paramtool.files.writing.weights import Entry, WeightsWriter

MEMORY_DISK = Path("/dev/shm")
PREFIX = "paramtool-benchmark"


class Files:
    """Makes each file when a comparison first asks for it.

    Args:
        folder: for the small ones; the large ones are on the memory disk, if there is one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._disk = MEMORY_DISK if MEMORY_DISK.is_dir() else folder

    def clear(self) -> None:
        """Remove the large files."""
        for each in self._disk.glob(f"{PREFIX}-*"):
            each.unlink()

    def large(self, name: str) -> Path:
        """Return a path on the memory disk, where nothing is written yet."""
        return self._disk / f"{PREFIX}-{name}"

    def text(self, name: str, text: str) -> Path:
        """Write `text`."""
        path = self._folder / name
        path.write_text(text)
        return path

    def transformer(self, *, more: bool = False) -> Path:
        """Write the spec of 354 M or 1.4 B parameters."""
        layers = MORE_LAYERS if more else LAYERS
        return self.text(f"transformer{layers}.yaml", SPEC.replace("LAYERS", str(layers)))

    def runnable(self) -> Path:
        """Write the spec of 124 M parameters with an input."""
        return self.text("runnable.yaml", RUNNABLE)

    def repeated(self, times: int) -> Path:
        """Write a spec of `times` small layers."""
        text = f"model: {{Repeat: {{times: {times}, module: {{Linear: [4, 3]}}}}}}\n"
        return self.text(f"repeated{times}.yaml", text)

    def wide(self, numel: int) -> Path:
        """Write a spec of one matrix of `numel` elements."""
        return self.text(f"wide{numel}.yaml", f"model: {{Linear: [1000, {numel // 1000}, false]}}\n")

    def tensors(self, count: int, rename: Callable[[str], str] = str) -> Path:
        """Write `count` small float32 tensors under the names of a deep mixture of experts."""
        parts = ("up.weight", "down.weight", "gate.weight", "gate.bias")
        return self._write(
            rename("model"),
            [
                rename(f"model.layers.{at // 1000}.mlp.experts.{at // 4 % 250}.{parts[at % 4]}")
                for at in range(count)
            ],
        )

    def flat(self, count: int) -> Path:
        """Write `count` small float32 tensors whose names have nothing in common to fold."""
        return self._write("flat", [f"t{at}" for at in range(count)])

    def _write(self, title: str, names: Sequence[str]) -> Path:
        path = self._folder / f"{title}{len(names)}.safetensors"
        with WeightsWriter(path, [Entry(name, "float32", (2, 2)) for name in names], force=True) as writer:
            for name in names:
                writer.write(name, 0, bytes(16))
        return path
