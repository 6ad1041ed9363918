"""Redirects: only to public https hosts, and never with a secret that was meant for another host."""

from __future__ import annotations

import ipaddress
import socket
from http.client import HTTPMessage
from typing import IO, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request

from paramtool.errors import ParamtoolError

MOST = 5
"""Redirects of one request."""


class Redirections(HTTPRedirectHandler):
    """Follow a redirect to the same host, or to a public one over https."""

    max_redirections = MOST
    max_repeats = 2

    def http_error_302(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage) -> Any:
        """Follow a redirect, if that is safe.

        Raises:
            ParamtoolError: if it leads to another scheme, to another host without https, or to a private one.
        """
        to = urljoin(req.full_url, headers.get("Location", ""))
        try:
            _check(req.full_url, to)
        except ParamtoolError:
            fp.close()
            raise
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(  # noqa: PLR0913, PLR0917 - as urllib has it
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Return the next request; another host does not get the headers of the first."""
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is not None and _host(newurl) != _host(req.full_url):
            made.remove_header("Authorization")
        return made


def _check(before: str, to: str) -> None:
    shown = before.partition("?")[0]
    old, new = urlsplit(before), urlsplit(to)
    if new.scheme not in ("https", "http"):
        raise ParamtoolError(f"{shown} leads to {new.scheme}:, which is not followed")
    if _host(before) == _host(to):
        return
    if new.scheme != "https":
        raise ParamtoolError(f"{shown} leads to {new.hostname} without https, which is not followed")
    if new.hostname != old.hostname and not _is_public(new.hostname or ""):
        raise ParamtoolError(
            f"{shown} leads to {new.hostname}, which is not a public host, and is not followed"
        )


def _host(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _is_public(host: str) -> bool:
    """Return whether every address of a host is public; if only a proxy can resolve it, judge by its name."""
    try:
        found = {each[4][0] for each in socket.getaddrinfo(host, None)}
        return all(ipaddress.ip_address(str(one).partition("%")[0]).is_global for one in found)
    except OSError:  # no such name here: a proxy may know it
        return "." in host and not host.endswith((".local", ".internal", ".localhost"))
    except ValueError:
        return False
