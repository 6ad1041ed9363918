"""Run many paramtool commands without importing torch for each.

A server imports torch and the command line once and forks for every command.  The command has the
streams, the folder, the environment and the arguments of the caller, and ends as a process does; only
the start is shared.  What is about the start itself runs in a fresh interpreter (tests/processes.py).
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path

_CLIENT = """\
#!{python} -ISE
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
server.sendall(asked)
os._exit(int.from_bytes(server.recv(1) or b"\\xff", "big"))
"""


@contextmanager
def warm_command(folder: Path) -> Iterator[Path]:
    """Yield a folder with a ``paramtool`` to put on PATH, whose server ends with the block."""
    address, script = folder / "s", folder / "bin" / "paramtool"
    script.parent.mkdir(parents=True)
    script.write_text(_CLIENT.format(python=sys.executable, address=str(address)), "utf-8")
    script.chmod(0o755)
    command = [sys.executable, "-m", "tests.warm", str(address)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield script.parent


def serve(address: str) -> None:
    """Answer at `address` until standard input is closed."""
    import paramtool.cli.commands.grad
    import paramtool.cli.commands.init
    import paramtool.network.network
    import paramtool.operations.gradients.gradients  # noqa: F401 - all of these are here to be inherited

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    os.write(1, b"ready\n")
    running = 0
    while listener.fileno() in select.select([listener.fileno(), 0], [], [])[0]:
        caller, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _answer(caller)
        caller.close()
        running += 1
        while running and os.waitpid(-1, os.WNOHANG)[0]:
            running -= 1
    for _ in range(running):
        os.wait()


def _answer(caller: socket.socket) -> None:
    head, streams, _, _ = socket.recv_fds(caller, 4, 3)
    asked = b""
    while len(asked) < int.from_bytes(head, "big"):
        asked += caller.recv(1 << 16)
    child = os.fork()
    if child == 0:
        caller.close()
        _run(streams, *json.loads(asked))
    _, status = os.waitpid(child, 0)
    caller.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))
    os._exit(0)


def _run(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    sys.stdin = TextIOWrapper(BufferedReader(FileIO(0, closefd=False)), "utf-8")
    sys.stdout = TextIOWrapper(BufferedWriter(FileIO(1, "w", closefd=False)), "utf-8")
    errors = BufferedWriter(FileIO(2, "w", closefd=False))
    sys.stderr = TextIOWrapper(errors, "utf-8", "backslashreplace", line_buffering=True)
    from paramtool.__main__ import main

    main()


if __name__ == "__main__":
    serve(sys.argv[1])
