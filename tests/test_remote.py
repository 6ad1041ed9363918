"""Checkpoints at URLs: the same answer as for the file, by few ranges, whatever the server does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

import paramtool
from paramtool.files.remote import range_request
from paramtool.files.remote.address import read_address
from paramtool.files.remote.remote_file import PIECE
from tests.conftest import Run
from tests.range_server import RangeServer, range_server


@pytest.fixture(scope="module")
def _server() -> Iterator[RangeServer]:
    with range_server() as running:
        yield running


@pytest.fixture
def server(_server: RangeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RangeServer:
    """Give a server without files, and a machine without tokens or proxies."""
    _server.files.clear()
    _server.seen.clear()
    for name in (
        "HF_TOKEN",
        "HF_ENDPOINT",
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(range_request, "_PAUSE", 0.0)
    monkeypatch.setattr(range_request, "_LONGEST_PAUSE", 0.0)
    monkeypatch.chdir(tmp_path)
    return _server


def tensors(**sizes: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(size, generator=generator) for name, size in sizes.items()}


def rows(model: str) -> list[object]:
    return list(paramtool.inspect(model, stats=True).rows)


def test_a_header_takes_one_request(run: Run, server: RangeServer) -> None:
    """Names and shapes of a file of any size: 128 KiB are asked for, once."""
    server.files["/model.safetensors"] = save(tensors(a=3, b=1_000_000))
    url = f"{server.url}/model.safetensors"
    result = run("inspect", url, "-f", "csv", "--columns", "name,shape")
    assert (result.status, result.stdout, result.stderr) == (0, "name,shape\na,[3]\nb,[1000000]\n", "")
    assert [each[:2] for each in server.seen] == [("/model.safetensors", f"bytes=0-{PIECE - 1}")]


@pytest.mark.parametrize("kind", ["safetensors", "pt", "npz", "long"])
def test_it_is_what_the_file_is(server: RangeServer, kind: str) -> None:
    """Statistics and comparison of values agree with the same bytes on disk, format by format."""
    given = tensors(a=5, b=300_000)
    path = Path(f"model.{kind.replace('long', 'safetensors')}")
    if kind == "npz":
        np.savez(path, a=given["a"].numpy(), b=given["b"].numpy())
    elif kind == "pt":
        torch.save({"model": given, "epoch": 3}, path)
    elif kind == "long":
        save_file({f"layer.{number}.{'x' * 90}": torch.ones(1) for number in range(2_000)}, path)
    else:
        save_file(given, path)
    server.files[f"/{path}"] = path.read_bytes()
    url = f"{server.url}/{path}"
    assert rows(url) == rows(str(path))
    assert all(each.change == "same" for each in paramtool.diff(url, str(path), values=True).rows)


def test_a_block_of_values_is_one_request(server: RangeServer) -> None:
    """Wherever in the file it begins; what the first request brought is not asked for again."""
    server.files["/m.safetensors"] = content = save(tensors(a=5, b=3_000_000))
    assert [each.nan for each in paramtool.inspect(f"{server.url}/m.safetensors", stats=True).rows] == [0, 0]
    asked = [tuple(map(int, each[1].removeprefix("bytes=").split("-"))) for each in server.seen if each[1]]
    assert len(asked) <= 1 + -(-len(content) // (4 << 20))
    assert sum(last - first + 1 for first, last in asked) == len(content)


def test_a_key_of_a_file(run: Run, server: RangeServer) -> None:
    """``…/file.pt:ema`` names one state_dict of several."""
    torch.save({"model": tensors(a=2), "ema": tensors(a=2, b=1)}, "x.pt")
    server.files["/x.pt"] = Path("x.pt").read_bytes()
    assert "2 tensors" in run("inspect", f"{server.url}/x.pt:ema").stdout
    assert run("inspect", f"{server.url}/x.pt:em").status == 2


def test_an_index_and_its_shards(run: Run, server: RangeServer) -> None:
    """The index, and the head of each shard: one request for each; values by their place."""
    server.files["/m/one.safetensors"] = save(tensors(a=3))
    server.files["/m/two.safetensors"] = save(tensors(b=100_000))
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    server.files["/m/model.safetensors.index.json"] = json.dumps(index).encode()
    url = f"{server.url}/m/model.safetensors.index.json"
    assert [each.name for each in paramtool.inspect(url).rows] == ["a", "b"]
    assert len(server.seen) == 3
    assert run("check", url, "--finite").status == 0


@pytest.mark.parametrize(
    "shard", ["../one.safetensors", "/etc/hostname", "http://x/one", "one?x", "", "%2e%2e", "o\nne"]
)
def test_an_index_leads_nowhere_else(run: Run, server: RangeServer, shard: str) -> None:
    """An index is untrusted: its files are beside it, by plain names."""
    server.files["/m/i.index.json"] = json.dumps({"weight_map": {"a": shard}}).encode()
    result = run("inspect", f"{server.url}/m/i.index.json")
    assert (result.status, result.stdout) == (2, "")
    assert "which is not beside it" in result.stderr
    assert len(server.seen) == 1


def test_an_index_does_not_lead_to_another(run: Run, server: RangeServer) -> None:
    """Nor to itself."""
    server.files["/i.index.json"] = json.dumps({"weight_map": {"a": "i.index.json"}}).encode()
    result = run("inspect", f"{server.url}/i.index.json")
    assert (result.status, "is not a checkpoint" in result.stderr) == (2, True)


class TestHub:
    """``hf://owner/name``, as huggingface_hub finds it."""

    @pytest.fixture(autouse=True)
    def _hub(self, server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/")
        monkeypatch.setenv("HF_TOKEN", "hf_secret")

    def test_a_repository(self, run: Run, server: RangeServer) -> None:
        """The first file that its readers would open; the token goes to the hub."""
        server.files["/o/n/resolve/main/pytorch_model.bin"] = _saved(tensors(a=2))
        result = run("inspect", "hf://o/n", "-f", "csv", "--columns", "name")
        assert (result.status, result.stdout) == (0, "name\na\n")
        assert server.seen[0][0] == "/o/n/resolve/main/model.safetensors"
        assert {each[2] for each in server.seen} == {"Bearer hf_secret"}

    def test_a_revision_and_a_file(self, run: Run, server: RangeServer) -> None:
        """A revision may have a slash only as %2F, as in the hub's own URLs."""
        server.files["/o/n/resolve/v1/sub/x.safetensors"] = save(tensors(a=2))
        result = run("inspect", "hf://o/n@v1/sub/x.safetensors", "-f", "json")
        assert (result.status, json.loads(result.stdout)["model"]) == (0, "hf://o/n@v1/sub/x.safetensors")

    def test_the_token_goes_to_no_other_host(self, run: Run, server: RangeServer) -> None:
        """Storage behind the hub is another host; and it is never one without https."""
        server.files["/to-other-port/x"] = b""
        result = run("inspect", "hf://o/n/../x")
        assert result.status == 2
        result = run("inspect", f"{server.url}/x.safetensors")
        assert server.seen[-1][2] is None

    def test_nothing_there(self, run: Run) -> None:
        """One line says what was looked for."""
        result = run("inspect", "hf://o/n")
        assert result.stderr.startswith("error: hf://o/n has none of model.safetensors, ")


FAULTS = {
    "to-file": "leads to file:, which is not followed",
    "to-other-port": "leads to 127.0.0.1 without https, which is not followed",
    "to-private": "leads to 127.0.0.2, which is not a public host, and is not followed",
    "around": "leads from one address to the next without an end",
    "no-ranges": "gives no ranges of files, so all of it would be downloaded",
    "no-place": "does not say which bytes it sends",
    "other-place": "sends other bytes than were asked for",
    "no-size": "does not say which bytes it sends",
    "too-much": "sends more than was asked for",
    "breaks-off": "the connection broke off",
    "packed": "packs what it sends, which was not asked for",
    "no-http": "does not speak HTTP",
    "hangs-up": "does not speak HTTP",
    "busy": "answers 503",
    "busy-for-long": "answers 429",
    "refuses": "the server refuses it (403)",
    "silent": "says nothing for",
    "drips": "is too slow",
    "endless-headers": "does not speak HTTP",
    "absent": "has no such file (404)",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_misbehaves(
    run: Run, server: RangeServer, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Each fault is one line and exit 2, in bounded time, after at most one retry."""
    monkeypatch.setattr(range_request, "TIMEOUT", 0.3)
    monkeypatch.setattr(range_request, "SLOWEST", 1 << 20)
    server.files["/m.safetensors"] = save(tensors(a=3))
    result = run("inspect", f"{server.url}/{fault}/m.safetensors")
    assert (result.status, result.stdout) == (2, "")
    assert FAULTS[fault] in result.stderr.splitlines()[0]
    assert len(server.seen) <= (2 if fault != "around" else 12)


def test_one_retry(run: Run, server: RangeServer) -> None:
    """A connection that breaks off once is no reason to give up."""
    server.files["/m.safetensors"] = save(tensors(a=3))
    assert run("inspect", f"{server.url}/breaks-off-once/m.safetensors").status == 0


def test_a_file_that_changes(run: Run, server: RangeServer) -> None:
    """Its header and its elements would not be of one file."""
    server.files["/m.safetensors"] = save(tensors(a=3, b=200_000))
    result = run("inspect", f"{server.url}/changes/m.safetensors", "--stats")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.endswith("m.safetensors changed while it was read\n")


def test_a_redirect_on_the_same_host(run: Run, server: RangeServer) -> None:
    """It is followed, with the range."""
    server.files["/m.safetensors"] = save(tensors(a=3))
    assert run("inspect", f"{server.url}/to-same/m.safetensors").status == 0


@pytest.mark.parametrize("cut", [0, 4, 8, 60, 100])
def test_a_file_that_was_cut(run: Run, server: RangeServer, cut: int) -> None:
    """As for one on disk."""
    server.files["/m.safetensors"] = save(tensors(a=30))[:cut]
    result = run("inspect", f"{server.url}/m.safetensors")
    assert (result.status, result.stdout) == (2, "")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("ftp://host/x", "ftp:// is not read"),
        ("file:///etc/passwd", "file:// is not read"),
        ("https://", "names no file"),
        ("https://host/", "names no file"),
        ("https://me:pw@host/x.pt", "has a user or password in it"),
        ("https://host:99999/x.pt", "is not a URL"),
        ("https://[::1/x.pt", "is not a URL"),
        ("https://host/a b.pt", "is not a URL: it has a space"),
        ("hf://owner", "names no repository"),
        ("hf://owner/name/../x", "names no repository"),
        ("hf://", "names no repository"),
    ],
)
def test_what_is_no_url(run: Run, typed: str, said: str) -> None:
    """Refused before anything is asked."""
    result = run("inspect", typed)
    assert (result.status, result.stdout) == (2, "")
    assert said in result.stderr
    assert "pw" not in result.stderr


def test_a_signature_stays_out_of_reports(run: Run, server: RangeServer) -> None:
    """A query may hold one: it is sent, and shown nowhere."""
    server.files["/m.safetensors"] = save(tensors(a=3))
    result = run("inspect", f"{server.url}/m.safetensors?sig=secret", "-f", "json")
    assert server.seen[-1][0] == "/m.safetensors?sig=secret"
    assert "secret" not in result.stdout + result.stderr
    assert "secret" not in run("inspect", f"{server.url}/x.safetensors?sig=secret").stderr
    assert "hf_" not in repr(read_address("hf://o/n")[0])


def test_only_a_person_names_a_url(run: Run, server: RangeServer) -> None:
    """A spec asks for nothing: neither its expectations nor its initializers."""
    server.files["/m.safetensors"] = save(tensors(a=3))
    url = f"{server.url}/m.safetensors"
    Path("m.yaml").write_text(f"model: {{Linear: [2, 1]}}\nexpect: {{same_as: '{url}'}}\n")
    assert run("check", "m.yaml").status == 2
    Path("m.yaml").write_text(f"model: {{Linear: [2, 1]}}\ninit: [{{pattern: ., copy: {{file: '{url}'}}}}]\n")
    assert run("init", "m.yaml").status == 2
    assert server.seen == []


def test_weights_and_convert(run: Run, server: RangeServer) -> None:
    """--weights and `convert` take what MODEL takes."""
    given = {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}
    server.files["/m.safetensors"] = save(given)
    Path("m.yaml").write_text("model: {Linear: [2, 1]}\n")
    url = f"{server.url}/m.safetensors"
    assert run("inspect", "m.yaml", "--weights", url, "--stats").status == 0
    assert run("convert", url, "-o", "here.safetensors").status == 0
    assert run("diff", url, "here.safetensors", "--values").status == 0


def test_an_object_in_a_store(run: Run, server: RangeServer) -> None:
    """``s3://`` and ``gs://`` go through fsspec, by ranges too."""
    fsspec = pytest.importorskip("fsspec")
    memory = pytest.importorskip("fsspec.implementations.memory").MemoryFileSystem
    del server
    fsspec.register_implementation("gs", memory, clobber=True)
    memory.store.clear()
    fsspec.filesystem("gs").pipe_file("bucket/m.safetensors", save(tensors(a=3)))
    assert run("inspect", "gs://bucket/m.safetensors", "--stats").status == 0
    result = run("inspect", "gs://bucket/other.safetensors")
    assert (result.status, "has no such object" in result.stderr) == (2, True)


def _saved(given: dict[str, torch.Tensor]) -> bytes:
    torch.save(given, "saved.bin")
    return Path("saved.bin").read_bytes()
