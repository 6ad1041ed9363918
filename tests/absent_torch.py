"""Notice which tests need torch, where no torch is installed (``make matrix``)."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

_MODULE = """\
with open({log!r}, "a") as log:
    log.write(".")
raise ModuleNotFoundError("No module named 'torch'", name="torch")
"""


class Absence:
    """A module in the place of torch that cannot be imported, and keeps a log of who tried."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "asked"
        (folder / "torch.py").write_text(_MODULE.format(log=str(self._log)), "utf-8")
        sys.path.append(str(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(folder))))

    def asked(self) -> bool:
        """Tell whether this process, or one that it started, tried to import torch since the last call."""
        found = self._log.exists()
        self._log.unlink(missing_ok=True)
        return found


def watch() -> Absence | None:
    """Return the watch over imports of torch, or None where torch is installed."""
    return None if find_spec("torch") else Absence(Path(tempfile.mkdtemp(prefix="absent-torch-")))
