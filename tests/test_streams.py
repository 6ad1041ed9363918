"""Streams: what a tensor is filled with depends on the seed and its own name, and on nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from paramtool.language.catalog import shipped
from paramtool.language.document import read_spec
from paramtool.network import construction
from paramtool.network.fill_record import Recording
from paramtool.place import Text
from paramtool.tensors import streams

LAYERS = {
    "a": "{Linear: [4, 3]}",
    "b": "{Embedding: {num_embeddings: 5, embedding_dim: 3, padding_idx: 2}}",
    "c": "{LSTM: [3, 2]}",
    "d": "{Conv2d: [2, 4, 3]}",
    "e": "{BatchNorm1d: 3}",
    "f": "{MultiheadAttention: [4, 2]}",
}


WRITTEN_DOWN = [0.394327, 0.938946, 0.853985, 0.01233]


def built(text: str, rng: str = "streams") -> dict[str, Tensor]:
    """Return every parameter and buffer of a spec by its name, with values."""
    module = construction.values(read_spec(Text("m.yaml", text), shipped()), rng).module
    return {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers())}


def model(names: list[str], more: str = "") -> str:
    """Write a Sequential of some of the layers."""
    members = ", ".join(f"{name}: {LAYERS[name]}" for name in names)
    return f"model: {{Sequential: {{{members}}}}}\n{more}"


EVERYTHING = built(model(list(LAYERS)))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(sorted(LAYERS)), unique=True, min_size=1))
def test_other_layers_change_nothing(names: list[str]) -> None:
    """A layer has the same values whichever layers stand beside it, and in whatever order."""
    for name, tensor in built(model(names)).items():
        assert torch.equal(tensor, EVERYTHING[name]), name


def test_another_seed_gives_other_values_and_the_same_seed_the_same() -> None:
    """The seed of the spec decides the values."""
    assert torch.equal(built(model(["a"], "seed: 7"))["a.weight"], built(model(["a"], "seed: 7"))["a.weight"])
    assert not torch.equal(built(model(["a"], "seed: 7"))["a.weight"], EVERYTHING["a.weight"])


def test_two_names_have_two_streams() -> None:
    """Two layers of one kind differ, and so do the copies that torch makes of one layer."""
    text = (
        "model: {TransformerEncoder: {encoder_layer: {TransformerEncoderLayer: {d_model: 4, nhead: 2}},"
        " num_layers: 2}}"
    )
    values = built(text)
    assert not torch.equal(values["layers.0.linear1.weight"], values["layers.1.linear1.weight"])
    assert torch.equal(values["layers.0.norm1.weight"], torch.ones(4))


def test_a_lower_precision_is_the_same_draw_rounded() -> None:
    """Values are drawn in float32 and cast, so bfloat16 rounds what float32 has."""
    rounded = built(model(["a"], "dtype: bfloat16"))["a.weight"]
    assert torch.equal(rounded, EVERYTHING["a.weight"].bfloat16())


def test_what_a_constructor_sets_is_kept() -> None:
    """Padding rows, biases of zero, ones of a norm and counters are as torch has them."""
    assert torch.equal(EVERYTHING["b.weight"][2], torch.zeros(3))
    assert torch.equal(EVERYTHING["f.in_proj_bias"], torch.zeros(12))
    assert torch.equal(EVERYTHING["e.weight"], torch.ones(3))
    assert EVERYTHING["e.num_batches_tracked"].item() == 0


def test_a_tied_parameter_is_drawn_once_by_its_first_name() -> None:
    """A tie changes nothing for the first name, and the second is the same tensor."""
    spec = "model: {Sequential: {a: {Linear: [4, 4]}, z: {Linear: [4, 4]}}}\n"
    alone, tied = built(spec), built(spec + "tie: {z.weight: a.weight}")
    assert tied["z.weight"] is tied["a.weight"]
    assert torch.equal(tied["a.weight"], alone["a.weight"])


@pytest.mark.parametrize(
    ("layer", "name", "bound"),
    [
        ("{Linear: [400, 500]}", "weight", 1 / math.sqrt(400)),
        ("{Linear: [400, 500]}", "bias", 1 / math.sqrt(400)),
        ("{Conv2d: [40, 50, 10]}", "weight", 1 / math.sqrt(4000)),
        ("{LSTM: [300, 200]}", "weight_hh_l0", 1 / math.sqrt(200)),
        ("{MultiheadAttention: [300, 2]}", "in_proj_weight", math.sqrt(6 / 1200)),
    ],
)
def test_uniform_constructors_keep_their_law(layer: str, name: str, bound: float) -> None:
    """The redrawn values are uniform within torch's own bound: by Kolmogorov and Smirnov's test."""
    drawn = built(f"model: {layer}")[name].flatten().sort().values.double()
    expected = (drawn / bound + 1) / 2
    steps = torch.arange(len(drawn), dtype=torch.float64) / len(drawn)
    assert drawn.abs().max() <= bound * (1 + 1e-6)
    assert (expected - steps).abs().max() < 1.95 / math.sqrt(len(drawn))  # one in a thousand, seed fixed


def test_an_embedding_is_standard_normal() -> None:
    """The redrawn values of an Embedding have mean 0 and std 1 within five standard errors."""
    drawn = built("model: {Embedding: [400, 300]}")["weight"].double()
    n = drawn.numel()
    assert abs(drawn.mean().item()) < 5 / math.sqrt(n)
    assert abs(drawn.std().item() - 1) < 5 / math.sqrt(2 * n)


def test_fills_of_a_spec_have_streams_too() -> None:
    """`fill: rand` and `randn` are drawn by name, in Parameters, Buffers and plain Tensors."""
    filled = "w: {Parameter: {shape: [3], fill: randn}}, t: {Tensor: {shape: [3], fill: rand}}"
    text = "model: {Module: {%s " + filled + "}}"
    alone = construction.values(read_spec(Text("m.yaml", text % ""), shipped())).module
    more = construction.values(
        read_spec(Text("m.yaml", text % "v: {Parameter: {shape: [9], fill: rand}},"), shipped())
    ).module
    assert torch.equal(alone.w, more.w)  # type: ignore[arg-type]
    assert torch.equal(alone.t, more.t)  # type: ignore[arg-type]


def test_blocks_of_a_large_tensor_are_streams_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Block k of a tensor is what stream k gives, so blocks can be drawn in any order."""
    monkeypatch.setattr(streams, "BLOCK", 1000)
    drawn = built("model: {Module: {w: {Parameter: {shape: [2500], fill: rand}}}}")["w"]
    last = torch.empty(500).uniform_(generator=streams.stream(0, "w", 2))
    assert torch.equal(drawn[2000:].detach(), last)


def test_seeds_beyond_32_bits_differ() -> None:
    """Torch keeps 32 bits of a seed on the CPU; a stream keeps all that SHAKE-256 gives."""
    one, other = torch.Generator(), torch.Generator()
    one.manual_seed(5)
    other.manual_seed(5 + 2**32)
    assert torch.equal(torch.rand(4, generator=one), torch.rand(4, generator=other))
    first, second = streams.stream(5, "w"), streams.stream(5 + 2**32, "w")
    assert not torch.equal(torch.rand(4, generator=first), torch.rand(4, generator=second))


def test_a_stream_is_written_down() -> None:
    """The numbers of a stream are part of the product: they change with no release of ours."""
    drawn = torch.rand(4, generator=streams.stream(0, "0.weight"), dtype=torch.float64)
    assert [round(each, 6) for each in drawn.tolist()] == WRITTEN_DOWN


def test_what_cannot_be_recorded_keeps_what_torch_gave() -> None:
    """A tensor that was copied into is left as it is."""
    with Recording() as recording:
        linear = torch.nn.Linear(2, 2)
        with torch.no_grad():
            linear.weight.copy_(torch.arange(4.0).reshape(2, 2))
            linear.bias.__imul__(0)
    recording.redraw(linear, 0)
    assert linear.weight.tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert linear.bias.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "write",
    [
        lambda w: torch.full((4,), 7.0, out=w),
        lambda w: torch.add(torch.full((4,), 3.0), 4.0, out=w),
        lambda w: w.numpy().fill(7.0),
        lambda w: torch._foreach_copy_([w], [torch.full((4,), 7.0)]),
        lambda w: torch.ops.aten.copy_(w, torch.full((4,), 7.0)),
    ],
)
def test_what_was_drawn_and_then_written_is_not_drawn_again(write: Callable[[Tensor], object]) -> None:
    """Whatever writes a tensor after its fill, the record of the fill is used no more."""
    with Recording() as recording:
        weight = torch.nn.Parameter(torch.empty(4))
        other = torch.nn.Parameter(torch.empty(4))
        torch.nn.init.normal_(weight)
        torch.nn.init.normal_(other)
        write(weight.detach())
    assert recording.fills_of(weight) == ()
    assert recording.fills_of(other) != ()
    module = torch.nn.Module()
    module.register_parameter("w", weight)
    recording.redraw(module, 0)
    assert weight.tolist() == [7.0] * 4


def test_steps_after_a_fill_are_run_again() -> None:
    """A fill that is scaled and clamped is drawn anew, scaled and clamped."""
    with Recording() as recording:
        weight = torch.nn.Parameter(torch.empty(1000))
        torch.nn.init.normal_(weight, std=2.0)
        with torch.no_grad():
            weight.mul_(3).clamp_(max=1.0)
    module = torch.nn.Module()
    module.register_parameter("w", weight)
    recording.redraw(module, 0)
    drawn = torch.empty(1000).normal_(0.0, 2.0, generator=streams.stream(0, "w"))
    assert torch.equal(weight.detach(), drawn.mul_(3).clamp_(max=1.0))


def test_values_leave_the_global_generator_alone() -> None:
    """Building values moves no random number of whoever called."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    built(model(["a", "b"]))
    assert torch.equal(before, torch.get_rng_state())
