"""Parse a URL that a person typed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from paramtool.errors import ParamtoolError

ENDPOINT = "https://huggingface.co"
SCHEMES = ("https", "http", "hf", "s3", "gs")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+)(?:@([^/]+))?(?:/(.+))?", re.ASCII)
_WITH_KEY = re.compile(r"(.*\.(?:pt|pth|bin|ckpt|pt2|zip)):([^/:]+)", re.DOTALL)


@dataclass(frozen=True)
class Address:
    """The address of one file.

    Attributes:
        url: sent to the server.
        shown: for messages and reports: without the query, which may hold a signature.
        secret: headers for this host only, never for one that it redirects to.
    """

    url: str
    shown: str
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)

    def beside(self, file: str) -> Address:
        """Return the address of another file in the same folder; `file` is a plain name."""
        url, question, query = self.url.partition("?")
        folder, shown = url.rpartition("/")[0], self.shown.rpartition("/")[0]
        return Address(f"{folder}/{quote(file)}{question}{query}", f"{shown}/{file}", self.secret)


@dataclass(frozen=True)
class Repository:
    """A repository of a hub, as ``hf://owner/name@revision`` names it."""

    name: str
    revision: str
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> str:
        """The URL of the repository in messages and reports."""
        at = "" if self.revision == "main" else f"@{self.revision}"
        return f"hf://{self.name}{at}"

    def file(self, path: str) -> Address:
        """Return the address of one of its files."""
        revision = quote(self.revision, safe="")
        url = f"{endpoint()}/{self.name}/resolve/{revision}/{quote(path)}"
        return Address(url, f"{self.shown}/{path}", self.secret)


def is_url(name: str) -> bool:
    """Return whether `name` begins like a URL, whether or not its scheme is supported."""
    return _URL.match(name) is not None


def read_address(name: str) -> tuple[Address | Repository, str | None]:
    """Return the file or repository that a URL names, and the key after its last colon (``…/file.pt:ema``).

    Raises:
        ParamtoolError: for another scheme, a URL without a host or a file, or with a password in it.
    """
    found = _WITH_KEY.fullmatch(name)
    plain, key = (found[1], found[2]) if found else (name, None)
    scheme, rest = plain.partition("://")[::2]
    if scheme not in SCHEMES:
        raise ParamtoolError(
            f"cannot read {name}: {scheme}:// is not read", hint="https://, hf://, s3:// and gs:// are"
        )
    if any(ord(each) <= 32 or ord(each) == 127 for each in plain):
        raise ParamtoolError(f"{name} is not a URL: it has a space or a control character")
    if scheme == "hf":
        return _in_repository(rest, name), key
    try:
        parts = urlsplit(plain)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise ParamtoolError(f"{name} is not a URL: {error}") from error
    if parts.username is not None or parts.password is not None:
        host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
        raise ParamtoolError(
            f"{scheme}://…@{host} has a user or password in it, which ends up in logs and histories",
            hint="use a URL that is signed or public",
        )
    if not has_host or parts.path in ("", "/"):
        raise ParamtoolError(f"{name} names no file", hint="e.g. https://host/model.safetensors")
    url = plain.partition("#")[0]
    return Address(url, url.partition("?")[0]), key


def endpoint() -> str:
    """Return the hub's address: ``$HF_ENDPOINT``, as huggingface_hub has it, else the usual one."""
    found = os.environ.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT
    if urlsplit(found).scheme not in ("https", "http"):
        raise ParamtoolError(f"$HF_ENDPOINT is {found}, which is not a URL")
    return found


def _in_repository(rest: str, name: str) -> Address | Repository:
    found = _REPOSITORY.fullmatch(rest.rstrip("/"))
    if found is None or any(part in (".", "..") for part in rest.split("/")):
        raise ParamtoolError(
            f"{name} names no repository",
            hint="hf://owner/name, hf://owner/name@revision or hf://owner/name/file",
        )
    token = os.environ.get("HF_TOKEN", "").strip()
    secret = {"Authorization": f"Bearer {token}"} if token.isprintable() and token else {}
    repository = Repository(found[1], found[2] or "main", secret)
    return repository.file(found[3]) if found[3] else repository
