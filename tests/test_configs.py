"""The models in configs/ have the names, shapes and figures of the models that they write down."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from paramtool.network import construction
from paramtool.network.listing import parameters
from paramtool.network.spec_tensors import make_tensor
from paramtool.records.parameter import ParameterRow, ParameterTotals
from paramtool.records.report import Report
from tests.specs import open_spec

CONFIGS = Path(__file__).parent.parent / "configs"

Shapes = dict[str, tuple[int, ...]]

# file: (parameters, names, tensors)
PUBLISHED = {
    "mlp.yaml": (19, 4, 4),  # 4·3 + 3 and 3·1 + 1
    "shared.yaml": (1, 2, 1),  # w
    "my_model.yaml": (400, 1, 1),  # 20·20; weight2 is no parameter
    "lenet.yaml": (61_706, 10, 10),  # 156 + 2,416 + 48,120 + 10,164 + 850, layer by layer
    "resnet18.yaml": (11_689_512, 62, 62),  # torchvision, ResNet18_Weights.IMAGENET1K_V1.meta["num_params"]
    "gpt2.yaml": (124_439_808, 149, 148),  # transformers, GPT2LMHeadModel.num_parameters()
    "bert_base.yaml": (109_482_240, 199, 199),  # transformers, BertModel.num_parameters()
    "vit_b16.yaml": (86_567_656, 152, 152),  # torchvision, ViT_B_16_Weights.IMAGENET1K_V1.meta["num_params"]
    "llama3_70b.yaml": (70_553_706_496, 723, 723),  # half of total_size in the checkpoint's index, see below
    "rnn.yaml": (3_840, 8, 8),  # 4·16·(8 + 16 + 2) and 4·16·(16 + 16 + 2)
    "tiny_lm.yaml": (33_088, 26, 25),  # 500·32 and two blocks of 8,544: 96·32 + 96 and 32·32 + 32,
    "albert_like.yaml": (33_588, 77, 17),  # 64·32 + 64 and 32·64 + 32, two norms of 64; here once
}


# meta-llama/Meta-Llama-3-70B, model.safetensors.index.json: metadata.total_size, in bytes of bfloat16
LLAMA_BYTES = 141_107_412_992


@cache
def report(config: str) -> Report[ParameterRow, ParameterTotals]:
    """Build the structure of a config once for all tests."""
    return parameters(construction.structure(open_spec(str(CONFIGS / config))).module)


def listed(config: str, kind: str = "parameter") -> list[tuple[str, tuple[int, ...] | None]]:
    """Return names and shapes in order: a list, since dictionaries compare without their order."""
    return [(row.name, row.shape) for row in report(config).rows if row.kind == kind]


def ties(config: str) -> dict[str, str]:
    """Return the names that stand for the tensor of an earlier name."""
    return {row.name: row.tied_to for row in report(config).rows if row.tied_to is not None}


def weight(name: str, *shape: int) -> Shapes:
    """Return the one name of a layer without bias."""
    return {f"{name}.weight": shape}


def affine(name: str, *shape: int) -> Shapes:
    """Return the names of a layer that has a bias for each of its outputs, the first dimension."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def conv1d(name: str, inputs: int, outputs: int) -> Shapes:
    """Return the names of GPT-2's linear layer, whose weight is transposed."""
    return {f"{name}.weight": (inputs, outputs), f"{name}.bias": (outputs,)}


RESNET18_STAGES = {"layer1": (64, 64), "layer2": (64, 128), "layer3": (128, 256), "layer4": (256, 512)}


def resnet18_block(name: str, inputs: int, outputs: int) -> Shapes:
    """Return one block; where the channels change, the shortcut has a convolution as well."""
    shortcut = weight(f"{name}.downsample.0", outputs, inputs, 1, 1) | affine(f"{name}.downsample.1", outputs)
    return (
        weight(f"{name}.conv1", outputs, inputs, 3, 3)
        | affine(f"{name}.bn1", outputs)
        | weight(f"{name}.conv2", outputs, outputs, 3, 3)
        | affine(f"{name}.bn2", outputs)
        | (shortcut if inputs != outputs else {})
    )


def resnet18() -> Shapes:
    """Return the parameters of torchvision.models.resnet18()."""
    shapes = weight("conv1", 64, 3, 7, 7) | affine("bn1", 64)
    for stage, (inputs, outputs) in RESNET18_STAGES.items():
        shapes |= resnet18_block(f"{stage}.0", inputs, outputs)
        shapes |= resnet18_block(f"{stage}.1", outputs, outputs)
    return shapes | affine("fc", 1000, 512)


def resnet18_buffers() -> Shapes:
    """Return the running statistics: three beside the weight of every normalization."""
    norms = {name: shape for name, shape in resnet18().items() if name.endswith("weight") and len(shape) == 1}
    return {
        name.replace("weight", statistic): shape if statistic != "num_batches_tracked" else ()
        for name, shape in norms.items()
        for statistic in ("running_mean", "running_var", "num_batches_tracked")
    }


def gpt2() -> Shapes:
    """Return the parameters of transformers' gpt2, without the prefix "transformer."."""
    shapes = weight("wte", 50257, 768) | weight("wpe", 1024, 768)
    for h in (f"h.{index}" for index in range(12)):
        shapes |= affine(f"{h}.ln_1", 768)
        shapes |= conv1d(f"{h}.attn.c_attn", 768, 3 * 768) | conv1d(f"{h}.attn.c_proj", 768, 768)
        shapes |= affine(f"{h}.ln_2", 768)
        shapes |= conv1d(f"{h}.mlp.c_fc", 768, 4 * 768) | conv1d(f"{h}.mlp.c_proj", 4 * 768, 768)
    return shapes | affine("ln_f", 768) | weight("lm_head", 50257, 768)


def bert_base() -> Shapes:
    """Return the parameters of transformers' BertModel for bert-base-uncased."""
    tables = {"word_embeddings": 30522, "position_embeddings": 512, "token_type_embeddings": 2}
    shapes: Shapes = {f"embeddings.{table}.weight": (rows, 768) for table, rows in tables.items()}
    shapes |= affine("embeddings.LayerNorm", 768)
    for layer in (f"encoder.layer.{index}" for index in range(12)):
        for projection in ("query", "key", "value"):
            shapes |= affine(f"{layer}.attention.self.{projection}", 768, 768)
        shapes |= affine(f"{layer}.attention.output.dense", 768, 768)
        shapes |= affine(f"{layer}.attention.output.LayerNorm", 768)
        shapes |= affine(f"{layer}.intermediate.dense", 3072, 768)
        shapes |= affine(f"{layer}.output.dense", 768, 3072) | affine(f"{layer}.output.LayerNorm", 768)
    return shapes | affine("pooler.dense", 768, 768)


def vit_b16() -> Shapes:
    """Return the parameters of torchvision.models.vit_b_16()."""
    shapes: Shapes = {"class_token": (1, 1, 768)}
    shapes |= affine("conv_proj", 768, 3, 16, 16)
    shapes["encoder.pos_embedding"] = (1, 14 * 14 + 1, 768)
    for layer in (f"encoder.layers.encoder_layer_{index}" for index in range(12)):
        shapes |= affine(f"{layer}.ln_1", 768)
        shapes[f"{layer}.self_attention.in_proj_weight"] = (3 * 768, 768)
        shapes[f"{layer}.self_attention.in_proj_bias"] = (3 * 768,)
        shapes |= affine(f"{layer}.self_attention.out_proj", 768, 768)
        shapes |= affine(f"{layer}.ln_2", 768)
        shapes |= affine(f"{layer}.mlp.0", 3072, 768) | affine(f"{layer}.mlp.3", 768, 3072)
    return shapes | affine("encoder.ln", 768) | affine("heads.head", 1000, 768)


def llama3_70b() -> Shapes:
    """Return the parameters of transformers' LlamaForCausalLM for Meta-Llama-3-70B."""
    query, key = 64 * 128, 8 * 128  # heads, times the size of a head
    attention = {
        "q_proj": (query, 8192),
        "k_proj": (key, 8192),
        "v_proj": (key, 8192),
        "o_proj": (8192, query),
    }
    mlp = {"gate_proj": (28672, 8192), "up_proj": (28672, 8192), "down_proj": (8192, 28672)}
    shapes = weight("model.embed_tokens", 128256, 8192)
    for layer in (f"model.layers.{index}" for index in range(80)):
        shapes |= {f"{layer}.self_attn.{name}.weight": shape for name, shape in attention.items()}
        shapes |= {f"{layer}.mlp.{name}.weight": shape for name, shape in mlp.items()}
        shapes |= weight(f"{layer}.input_layernorm", 8192)
        shapes |= weight(f"{layer}.post_attention_layernorm", 8192)
    return shapes | weight("model.norm", 8192) | weight("lm_head", 128256, 8192)


SHAPES = {
    "resnet18.yaml": resnet18(),
    "gpt2.yaml": gpt2(),
    "bert_base.yaml": bert_base(),
    "vit_b16.yaml": vit_b16(),
    "llama3_70b.yaml": llama3_70b(),
}
BUFFERS: dict[str, Shapes] = {
    "resnet18.yaml": resnet18_buffers(),
    "gpt2.yaml": {f"h.{index}.attn.bias": (1, 1, 1024, 1024) for index in range(12)},
    "bert_base.yaml": {"embeddings.position_ids": (1, 512), "embeddings.token_type_ids": (1, 512)},
}
TRANSFORMER_LAYER = [name for name, _ in nn.TransformerEncoderLayer(4, 2).named_parameters()]

TIES = {
    "gpt2.yaml": {"lm_head.weight": "wte.weight"},
    "shared.yaml": {"1.weight": "0.weight"},
    "tiny_lm.yaml": {"head.weight": "embed.weight"},
    "albert_like.yaml": {f"{call}.{name}": f"2.{name}" for call in range(3, 8) for name in TRANSFORMER_LAYER},
}


def test_every_config_has_its_figures_here() -> None:
    """A config is covered by this file, so that one cannot be added without a test."""
    assert {path.name for path in CONFIGS.glob("*.yaml")} == set(PUBLISHED)


@pytest.mark.parametrize("config", PUBLISHED)
def test_a_config_opens_with_a_comment(config: str) -> None:
    """The first line says what the model is."""
    assert (CONFIGS / config).read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("config", PUBLISHED)
def test_totals_are_the_published_figures(config: str) -> None:
    """Parameters, names and tensors add up to what is published of the model."""
    totals = report(config).totals
    assert (totals.parameters, totals.names, totals.tensors) == PUBLISHED[config]


@pytest.mark.parametrize("config", SHAPES)
def test_names_and_shapes_are_those_of_the_real_model(config: str) -> None:
    """Every name has its shape, in the order in which the real model registers them."""
    assert listed(config) == list(SHAPES[config].items())


@pytest.mark.parametrize("config", PUBLISHED)
def test_buffers_are_those_of_the_real_model(config: str) -> None:
    """Statistics, masks and position numbers are buffers; the models that do without have none."""
    assert listed(config, "buffer") == list(BUFFERS.get(config, {}).items())


@pytest.mark.parametrize("config", PUBLISHED)
def test_only_heads_and_repeated_layers_are_tied(config: str) -> None:
    """Two heads are an embedding, and two configs call a layer again; nothing else is tied."""
    assert ties(config) == TIES.get(config, {})


def test_resnet18_keeps_three_statistics_of_twenty_normalizations() -> None:
    """The stem has one normalization, every block two, and each of three shortcuts one: twenty."""
    norms = 1 + 2 * 8 + 3
    assert len(listed("resnet18.yaml", "buffer")) == 3 * norms


def test_gpt2_saves_its_masks_and_bert_not_its_positions() -> None:
    """The buffers of GPT-2 are in its checkpoint; those of BERT are made anew."""
    persistent = {
        config: {row.persistent for row in report(config).rows if row.kind == "buffer"}
        for config in ("gpt2.yaml", "bert_base.yaml")
    }
    assert persistent == {"gpt2.yaml": {True}, "bert_base.yaml": {False}}


def test_llama_takes_two_bytes_a_parameter() -> None:
    """Every tensor is bfloat16, and together they are as large as the checkpoint."""
    assert {row.dtype for row in report("llama3_70b.yaml").rows} == {"bfloat16"}
    assert report("llama3_70b.yaml").totals.nbytes == LLAMA_BYTES


def test_a_block_is_an_instance_of_its_define() -> None:
    """The name of a define is the class name of what it builds."""
    classes = {
        "resnet18.yaml": ("layer1.0", "BasicBlock64"),
        "gpt2.yaml": ("h.11", "Block"),
        "bert_base.yaml": ("encoder.layer.11", "Layer"),
        "vit_b16.yaml": ("encoder.layers.encoder_layer_11", "EncoderBlock"),
        "llama3_70b.yaml": ("model.layers.79", "DecoderLayer"),
    }
    assert {config: (path, report(config).modules[path]) for config, (path, _) in classes.items()} == classes


def test_weight2_of_my_model_is_no_parameter() -> None:
    """A Tensor is an attribute of its module and nothing more."""
    assert listed("my_model.yaml", "parameter") == [("weight1", (20, 20))]
    assert listed("my_model.yaml", "tensor") == [("weight2", (20, 20))]


def run(config: str, constant: float) -> tuple[list[nn.Parameter], torch.Tensor]:
    """Return the parameters of a config, filled with `constant`, and the output for its input."""
    spec = open_spec(str(CONFIGS / config))
    assert spec.inputs is not None
    module = construction.values(spec).module
    for parameter in module.parameters():
        nn.init.constant_(parameter, constant)
    return list(module.parameters()), module(*map(make_tensor, spec.inputs.positional))


def test_two_uses_of_one_layer_add_up_in_its_gradient() -> None:
    """The loss of shared.yaml is w², with w = 3 it is 9; each use adds 3 to the gradient, 6."""
    weights, output = run("shared.yaml", constant=3)
    (gradient,) = torch.autograd.grad(output.sum(), weights)
    assert (output.tolist(), gradient.tolist()) == ([[9.0]], [[6.0]])


def test_lenet_sorts_one_image_into_ten_classes() -> None:
    """The layers of LeNet fit onto each other for the input that the config gives."""
    _, output = run("lenet.yaml", constant=0)
    assert output.shape == (1, 10)
