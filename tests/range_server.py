"""A server on the loopback interface that gives ranges of files, and others that misbehave."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

ENDLESS = 10_000
"""Pieces after which even an endless answer ends, so that a broken test does too."""


class RangeServer(ThreadingHTTPServer):
    """Serves `files` by their paths; the first part of a path names a fault, as ``/slow/model.pt``.

    Attributes:
        files: the content of each path.
        seen: each request: path, range, and the Authorization header.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.seen: list[tuple[str, str | None, str | None]] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away: tests make it do so."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RangeServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.seen.append((self.path, self.headers.get("Range"), self.headers.get("Authorization")))
        fault, _, rest = self.path.partition("?")[0].lstrip("/").partition("/")
        act = getattr(self, f"_{fault.replace('-', '_')}", None)
        if act is not None:
            act(f"/{rest}")
        else:
            self._give(self.path.partition("?")[0])

    def _range(self, size: int) -> tuple[int, int]:
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        assert found, "only ranges are asked for"
        return int(found[1]), min(int(found[2]), size - 1)

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _give(self, path: str, cut: int = 0, more: bytes = b"", **headers: str) -> None:
        content = self.server.files.get(path)
        if content is None:
            return self._answer(404, {})
        first, last = self._range(len(content))
        if first > last:
            return self._answer(416, {"Content-Range": f"bytes */{len(content)}"})
        facts = {"Content-Range": f"bytes {first}-{last}/{len(content)}", "ETag": '"1"'}
        body = content[first : last + 1 - cut] + more
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._answer(206, {**facts, "Content-Length": str(last + 1 - first), **given}, body)

    def _leads_to(self, to: str) -> None:
        self._answer(302, {"Location": to})

    def _to_same(self, path: str) -> None:
        self._leads_to(path)

    def _to_file(self, _: str) -> None:
        self._leads_to("file:///etc/hostname")

    def _to_other_port(self, path: str) -> None:
        self._leads_to(f"http://127.0.0.1:9{path}")

    def _to_private(self, path: str) -> None:
        self._leads_to(f"https://127.0.0.2{path}")

    def _around(self, path: str) -> None:
        self._leads_to(f"/around{path}")

    def _no_ranges(self, path: str) -> None:
        self._answer(200, {}, self.server.files[path])

    def _no_place(self, path: str) -> None:
        self._answer(206, {}, self.server.files[path])

    def _other_place(self, path: str) -> None:
        self._give(path, Content_Range="bytes 1-8/100")

    def _no_size(self, path: str) -> None:
        self._give(path, Content_Range="bytes 0-131071/*")

    def _too_much(self, path: str) -> None:
        size = str(len(self.server.files[path]) + 100)
        self._give(path, more=bytes(100), Content_Length=size)

    def _breaks_off(self, path: str) -> None:
        self._give(path, cut=5)

    def _breaks_off_once(self, path: str) -> None:
        before = [each for each in self.server.seen if each[0] == self.path]
        self._give(path, cut=5 if len(before) == 1 else 0)

    def _packed(self, path: str) -> None:
        self._give(path, Content_Encoding="gzip")

    def _changes(self, path: str) -> None:
        self._give(path, ETag=f'"{len(self.server.seen)}"')

    def _no_http(self, _: str) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")

    def _hangs_up(self, _: str) -> None:
        self.connection.close()

    def _busy(self, _: str) -> None:
        self._answer(503, {"Retry-After": "0"})

    def _busy_for_long(self, _: str) -> None:
        self._answer(429, {"Retry-After": "999999999999"})

    def _refuses(self, _: str) -> None:
        self._answer(403, {})

    def _silent(self, _: str) -> None:
        time.sleep(2)

    def _drips(self, path: str) -> None:
        self.send_response(206)
        size = len(self.server.files[path])
        for name, value in {"Content-Range": f"bytes 0-{size - 1}/{size}", "Content-Length": size}.items():
            self.send_header(name, str(value))
        self.end_headers()
        for each in self.server.files[path]:
            self.wfile.write(bytes([each]))
            time.sleep(0.05)

    def _endless_headers(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 206 Partial Content\r\n")
        for number in range(ENDLESS):
            self.wfile.write(b"X-%d: y\r\n" % number)


@contextmanager
def range_server() -> Iterator[RangeServer]:
    """Yield a server that runs until the block ends."""
    with RangeServer() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()
