"""A headless browser, driven over a pipe by the DevTools protocol; nothing but the standard library."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
VARIABLE, INSTALL = "PARAMTOOL_BROWSER", "install"
"""The variable with the path of a browser, and its value that asks for Debian's where there is none."""

PATIENCE = 60
"""Seconds that an answer may take on a machine with much else to do."""


def find() -> str | None:
    """Return the path of a browser; None if there is none, which is then no failure.

    Nothing is installed unless the variable asks for it.
    """
    typed = os.environ.get(VARIABLE)
    if typed and typed != INSTALL:
        return typed
    found = next((found for found in map(shutil.which, NAMES) if found), None)
    if found or typed != INSTALL or shutil.which("apt-get") is None:
        return found
    wait = "-o DPkg::Lock::Timeout=120"  # for the other worker, which asks too
    for words in (f"update -qq {wait}", f"install -y -qq {wait} --no-install-recommends chromium"):
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(["apt-get", *words.split()], check=False, capture_output=True, timeout=300)
    return shutil.which("chromium")


class Browser:
    """One window of a browser.

    Attributes:
        requests: every address that the window asked for.
        complaints: what the page's console and the policy said.
    """

    def __init__(self, path: str) -> None:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_us, from_browser = map(_high, os.pipe())
        to_browser, from_us = map(_high, os.pipe())
        typed = [
            path, "--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={self._folder.name}",
            *(["--no-sandbox"] if os.getuid() == 0 else []),
        ]  # fmt: skip
        null = os.open(os.devnull, os.O_RDWR)
        places = {0: null, 1: null, 2: null, 3: to_browser, 4: from_browser}
        actions = [(os.POSIX_SPAWN_DUP2, each, place) for place, each in places.items()]
        self._process = os.posix_spawn(path, typed, os.environ, file_actions=actions, setpgroup=0)
        for each in (to_browser, from_browser, null):
            os.close(each)
        self._out, self._in = from_us, to_us
        self._unread = b""
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a command of the protocol.

        Raises:
            RuntimeError: if it is refused.
        """
        self._number += 1
        session = {} if self._session is None else {"sessionId": self._session}
        message = {"id": self._number, "method": method, "params": parameters, **session}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = self._wait(lambda each: each.get("id") == self._number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        found: dict[str, Any] = answer["result"]
        return found

    def open(self, file: Path, width: int = 1000, *, script: bool = True, dark: bool = False) -> None:
        """Show a file."""
        self.requests.clear()
        self.complaints.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        self.call("Page.navigate", url=file.as_uri())
        self._wait(lambda each: each.get("method") == "Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page; DevTools may, whatever the policy.

        Raises:
            RuntimeError: for an exception.
        """
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description"))
        return found["result"].get("value")

    def press(self, key: str, text: str = "") -> None:
        """Press and release a key, as a person does."""
        code = {"Enter": 13, "Tab": 9, " ": 32}.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            given = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **given)

    def printed(self) -> bytes:
        """Return the page as a PDF."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])

    def picture(self) -> bytes:
        """Return what the window shows as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def close(self) -> None:
        """End the browser that this has started, and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._in)
        os.close(self._out)
        self._folder.cleanup()

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, is_wanted: Any) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while True:
            message = self._read(end - time.monotonic())
            self._note(message)
            if is_wanted(message):
                return message

    def _note(self, message: dict[str, Any]) -> None:
        method, given = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(given["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(given["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(given["args"]))

    def _read(self, seconds: float) -> dict[str, Any]:
        while b"\0" not in self._unread:
            if seconds <= 0 or not select.select([self._in], [], [], seconds)[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self._in, 1 << 16)
            if not part:
                raise RuntimeError("the browser has ended")
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


def _high(descriptor: int) -> int:
    """Return a copy with a number that is not one of those that the browser reads and writes."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 16)
    os.close(descriptor)
    return copy
