"""The pictures of README and docs: commands in a real terminal, drawn as SVG by rich: ``make pictures``."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "pictures"

COMMANDS = {
    "terminal": (
        "paramtool last.ckpt",
        "paramtool lab.py:Net --format tree",
        "paramtool diff last.ckpt lab.py:Net --arg depth=3",
    ),
}
"""What each picture shows, typed in a folder with the files of the docs."""

WIDTH, HEIGHT = 120, 50

THEME = TerminalTheme(
    (27, 31, 39),
    (214, 219, 228),
    [(72, 79, 91), (240, 113, 120), (126, 200, 127), (229, 192, 108), (110, 170, 240), (199, 146, 234),
     (100, 205, 208), (214, 219, 228)],
    [(120, 130, 145), (255, 139, 146), (150, 220, 150), (245, 212, 130), (140, 190, 255), (215, 170, 245),
     (130, 225, 228), (255, 255, 255)],
)  # fmt: skip

FRAME = """\
<svg class="terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""rich's own frame without its fonts, which would be fetched from a server."""


def main() -> None:
    """Write every picture."""
    from tests.model_files import write_lab
    from tools import page_pictures

    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        write_lab(Path(folder))
        for name in COMMANDS:
            (FOLDER / f"{name}.svg").write_text(picture(name, Path(folder)), "utf-8")
        text = page_pictures.picture(Path(folder))
        (FOLDER / f"{page_pictures.NAME}.svg").write_text(text, "utf-8")


def picture(name: str, folder: Path, path: Sequence[Path] = ()) -> str:
    """Return a picture as SVG: each command of it as typed, then what a terminal shows.

    Args:
        name: which one.
        folder: where the commands run.
        path: folders to look for paramtool in first.
    """
    lines = Text()
    for command in COMMANDS[name]:
        lines.append("$ ", "bold green").append(f"{command}\n")
        lines.append(Text.from_ansi(_screen(command, folder, path)))
        lines.append("\n\n")
    lines.rstrip()
    lines.append("\n")
    width = max(len(line) for line in lines.plain.splitlines())
    with Path(os.devnull).open("w") as nowhere:
        console = Console(
            record=True, width=width + 1, file=nowhere, force_terminal=True, color_system="truecolor"
        )
        console.print(lines, soft_wrap=True)
    return console.export_svg(title="paramtool", theme=THEME, code_format=FRAME, unique_id="paramtool")


def _screen(command: str, folder: Path, path: Sequence[Path]) -> str:
    """Return what a command writes to a terminal of WIDTH columns, colors included."""
    child, screen = pty.fork()
    if child == 0:  # pragma: no cover - another process
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        os.chdir(folder)
        os.execvpe("bash", ["bash", "-c", command], _environment(path))
    written = bytearray()
    try:
        while block := os.read(screen, 1 << 16):
            written += block
    except OSError:  # how Linux says that the other side has closed
        pass
    os.close(screen)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) not in {0, 1}:
        raise RuntimeError(f"{command}: {written.decode('utf-8', 'replace')}")
    return written.decode("utf-8").replace("\r\n", "\n").rstrip("\n")


def _environment(path: Sequence[Path]) -> dict[str, str]:
    """Return that of a usual terminal; readline, where it is loaded, sets COLUMNS behind Python's back."""
    hidden = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PARAMTOOL_MODEL"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    folders = os.pathsep.join([*map(str, path), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**kept, "PATH": folders, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}


if __name__ == "__main__":
    main()
