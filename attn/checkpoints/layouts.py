"""Which attention blocks a weights file holds, in whatever published layout, and each as one of our modules.

What is read, under any prefix, several in one file (tensors, their shape; [] may be absent):

====================  =====================================================  ======================================
layout                tensors                                                read as
====================  =====================================================  ======================================
``vqgan``             norm, q, k, v, proj_out (C, C[, 1, 1])                 AttnBlock; CompVis, taming, latent
                                                                             diffusion; ``attn_position`` of our own
                                                                             files with its encoding
``diffusers``         group_norm, to_q, to_k, to_v, to_out.0                 AttnBlock; Linear or 1×1 convolution
``diffusers_old``     group_norm, query, key, value, proj_attn               AttnBlock
``fused_qkv``         norm, qkv (3C, C, 1), proj_out                         AttnBlock with ε = 1e-5; with one head
                                                                             both orders of q, k, v are the same
``sagan``             query_conv, key_conv (r, C, 1, 1), value_conv, gamma   AttnBlock without norm: q and k padded
                                                                             with zeros to C, no 1/√C, proj_out =
                                                                             γ · identity; SAGAN, DANet's PAM
``se``                fc1, fc2 (convolution or Linear), with biases          SqueezeExcite (torchvision, timm)
``se_linear``         fc.0, fc.2 Linear[, biases]                            SqueezeExcite (the original)
``eca``               conv.weight (1, 1, odd)                                EfficientChannelAttention
``cbam``              ChannelGate.mlp.1, ChannelGate.mlp.3                   ChannelGate (the original, with biases);
                                                                             CBAM's spatial half is left out
``cbam_convolution``  fc1.weight, fc2.weight, no biases                      ChannelGate (timm)
``cam``               gamma (1) alone                                        ChannelSelfAttention (DANet)
``xca``               temperature (heads, 1, 1), qkv (3C, C), proj           CrossCovarianceAttention, its heads
====================  =====================================================  ======================================

Spectral normalisation stored beside a weight (old and new style) is divided out as in eval mode. float64, float32,
float16, bfloat16 and float8 are read, and said. What a file does not say is taken as published: 32 groups, ε as in
the layout's code, one head; ``config.json`` beside the file (diffusers), or ``groups``, ``eps`` and ``heads`` in the
file's metadata say otherwise. Two things no file says and no name shows: whether a module is a variant with the same
tensors (timm's light CBAM and circular ECA), and whether the input is added to an attention's output (it is, here).

What is refused, each with its sentence in `attn.texts` (``reasons.weights.…``): more than one head (``heads``), a
U-Net's block whose heads are not told (``unet_heads``), a transformer's attention (``transformer``), non-local blocks
with theta, phi and g (``nonlocal``), gates with other activations (``activation``), tensors beside the layout's that
change what it computes (``extra``), missing ones (``incomplete``), wrong shapes (``shape``), groups that do not divide
the channels (``groups``), numbers that overflow (``overflow``), NaN and infinities (``nan``), types that are no floats
(``dtype``).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from attn.checkpoints.files import DTYPES, TensorFile, WeightsError, listed, open_tensors, shown
from attn.checkpoints.fits import places
from attn.mechanisms import MECHANISMS

UNNAMED = "unnamed"
MAX_BLOCKS = 1024
_MAX_NAME = 512
_MAX_KERNEL = 1023
# A block's tensors lie at most so many names below it: to_q.parametrizations.weight.0._u.
_DEPTH = 5
_UNET = re.compile(r"(^|\.)(down_blocks|up_blocks|mid_block|input_blocks|middle_block|output_blocks)\.")
_AUTOENCODER = re.compile(r"(^|\.)(encoder|decoder)\.")
# torchvision's EfficientNet (SiLU) and MobileNetV3 (hard sigmoid) name their gates so.
_OTHER_ACTIVATIONS = re.compile(r"(^|\.)features\.\d+\.(\d+\.)?block\.\d+$")
# Parts that other kinds of attention have beside the ones of a layout.
_MODIFIERS = {
    "add_k_proj", "add_out_proj", "add_q_proj", "add_v_proj", "bn", "conv2", "fc3", "k_norm", "norm_added_k",
    "norm_added_q", "norm_cross", "norm_k", "norm_q", "q_norm", "qkv_dwconv", "relative_position", "spatial_norm",
    "to_add_out", "to_qkv",
}  # fmt: skip


@dataclass(frozen=True)
class BlockFound:
    """An attention block in a weights file, known from the headers alone.

    name: its prefix, as in "decoder.mid.attn_1"; "" for a block that is not inside anything.
    layout: see this module's table. mechanism: "spatial" for an AttnBlock, or another name of MECHANISMS.
    channels: features it takes; None for modules that take any (ECA, CAM).
    dtype: of its numbers as stored, such as "float16".
    heads: None where the file does not say; it is then taken as one.
    refusal: why it cannot be used, None where it can.
    """

    name: str
    layout: str
    mechanism: str
    channels: int | None
    dtype: str
    heads: int | None
    refusal: WeightsError | None
    hidden: int = field(default=0, repr=False)
    groups: int = field(default=32, repr=False)
    eps: float = field(default=1e-6, repr=False)

    @property
    def label(self) -> str:
        """The name as it is shown and chosen: "unnamed" where it has none."""
        return self.name or UNNAMED

    @property
    def kind(self) -> str:
        """What it weighs: "spatial" positions, "gate" or "channel_map" channels."""
        return MECHANISMS[self.mechanism].kind

    @property
    def places(self) -> list[tuple[str, str]]:
        """(network, stage) whose features it takes; empty where it takes those of any."""
        return [] if self.channels is None else places(self.channels)

    def fits(self, channels: int) -> bool:
        """Whether it takes features of this many channels."""
        return self.channels in (None, channels)


def list_blocks(file: str | Path) -> list[BlockFound]:
    """Every attention block in a .safetensors file, an index with its shards, or a folder: usable ones first.

    Only headers are read. Raises WeightsError for a file that cannot be read, or holds no block.
    """
    with open_tensors(file) as tensors:
        return found_in(tensors)


class Tree:
    """The names of a file's tensors as a tree: what lies below each path, at most `_DEPTH` names deep."""

    def __init__(self, names: Iterable[str]) -> None:
        self.below: dict[str, set[str]] = {}
        for name in names:
            if len(name) > _MAX_NAME:
                continue
            parts = name.split(".")
            for depth in range(1, min(_DEPTH, len(parts)) + 1):
                path, leaf = ".".join(parts[:-depth]), ".".join(parts[-depth:])
                self.below.setdefault(path, set()).add(leaf)

    def under(self, *path: str) -> set[str]:
        """Names of the tensors below a path, relative to it."""
        return self.below.get(join(*path), set())


def join(*path: str) -> str:
    return ".".join(part for part in path if part)


# A layer's weight, as it is or under spectral normalisation, old style and new: weight, u, v.
_PLAIN = ("weight",)
_SPECTRAL = (
    ("weight_orig", "weight_u", "weight_v"),
    ("parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v"),
)


def weight_names(leaves: set[str]) -> tuple[str, ...]:
    """The tensors that make up a layer's weight; () where there is none."""
    return next((form for form in (_PLAIN, *_SPECTRAL) if leaves.issuperset(form)), ())


@dataclass(frozen=True)
class Layers:
    """The layers of a spatial layout: those that need a bias, those that may have one, and its published ε."""

    norm: str | None
    projections: tuple[str, ...]
    out: str | None
    biases: bool
    eps: float = 1e-6
    single: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(layer for layer in (self.norm, *self.projections, self.out) if layer)


SPATIAL = {
    "vqgan": Layers("norm", ("q", "k", "v"), "proj_out", biases=True),
    "diffusers": Layers("group_norm", ("to_q", "to_k", "to_v"), "to_out.0", biases=False),
    "diffusers_old": Layers("group_norm", ("query", "key", "value"), "proj_attn", biases=False),
    "fused_qkv": Layers("norm", ("qkv",), "proj_out", biases=True, eps=1e-5),
    "sagan": Layers(None, ("query_conv", "key_conv", "value_conv"), None, biases=False, single=("gamma",)),
}


def found_in(tensors: TensorFile, only: str | None = None) -> list[BlockFound]:
    tree = Tree(tensors.names)
    found: list[BlockFound] = []
    for path in tree.below:
        looks = (*_LOOKS.get(path.rpartition(".")[2], ()), _look_cam)
        blocks = (look(tensors, tree, path) for look in looks)
        found += [block for block in blocks if block and only in (None, block.mechanism)]
        if len(found) > MAX_BLOCKS:
            raise WeightsError("reasons.weights.many", name=tensors.name, limit=MAX_BLOCKS)
    if not found:
        raise WeightsError("reasons.weights.no_block", name=tensors.name)
    return sorted(found, key=lambda block: (bool(block.refusal), block.mechanism != "spatial", _natural(block.name)))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts up.2 before up.10."""
    return [(int(part[:18]) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name)]


def _look_spatial(layout: str) -> Callable[[TensorFile, Tree, str], BlockFound | None]:
    layers = SPATIAL[layout]
    first = layers.projections[0]

    def look(tensors: TensorFile, tree: Tree, path: str) -> BlockFound | None:
        name = _parent(path, first)
        weights = {layer: weight_names(tree.under(name, layer)) for layer in layers.all}
        if not all(weights[layer] for layer in layers.projections):
            return None
        if layers.out and not weights[layers.out]:
            return None
        own = tree.under(name)
        if layout == "fused_qkv" and "temperature" in own:
            return None
        read = {join(layer, leaf) for layer in layers.all for leaf in (*weights[layer], "bias")} | set(layers.single)
        needed = {f"{layers.norm}.weight", f"{layers.norm}.bias"} if layers.norm else set(layers.single)
        if layers.biases:
            needed |= {f"{layer}.bias" for layer in layers.all}
        shape = tensors.shape(join(path, weights[first][0]))
        channels = shape[1] if len(shape) > 1 else 0
        heads, groups, eps = _told(tensors, layout, name, channels)
        block = BlockFound(
            name=name,
            layout=layout,
            mechanism="spatial",
            channels=channels,
            dtype=_dtypes(tensors, name, own & read),
            heads=heads,
            refusal=None,
            hidden=shape[0] if shape else 0,
            groups=groups,
            eps=eps,
        )
        refusal = None
        if layout == "diffusers" and not tree.under(name, "group_norm"):
            refusal = WeightsError("reasons.weights.transformer", name=tensors.name, block=shown(block.label))
        elif missing := sorted(needed - own):
            refusal = _incomplete(tensors, block, missing)
        elif extra := _extra(own, layers.all, read):
            refusal = _with_extra(tensors, block, extra)
        elif heads is not None and heads != 1:
            refusal = WeightsError("reasons.weights.heads", name=tensors.name, block=shown(block.label), heads=heads)
        elif heads is None and _UNET.search(f"{name}.") and not _AUTOENCODER.search(f"{name}."):
            refusal = WeightsError("reasons.weights.unet_heads", name=tensors.name, block=shown(block.label))
        elif layers.norm and (groups < 1 or channels % groups):
            refusal = WeightsError(
                "reasons.weights.groups", name=tensors.name, block=shown(block.label), channels=channels, groups=groups
            )
        return _refused(tensors, block, refusal)

    return look


def _told(tensors: TensorFile, layout: str, name: str, channels: int) -> tuple[int | None, int, float]:
    """Heads (None: not told), groups and ε, from the file's metadata, else the config beside it, else the layout."""
    heads: int | None = 1 if layout in ("vqgan", "sagan") else None
    groups, eps = 32, SPATIAL[layout].eps
    if layout in ("diffusers", "diffusers_old"):
        config = tensors.config
        groups = config.get("norm_num_groups") or groups
        if _AUTOENCODER.search(f"{name}."):
            heads = 1  # an autoencoder's blocks have one head as wide as the features
        elif config.get("_class_name") == "UNet2DModel":
            width = config.get("attention_head_dim", 8)
            heads = 1 if not width else channels // width if isinstance(width, int) else None
            eps = config.get("norm_eps", 1e-5)
    told = tensors.metadata
    try:
        heads = int(told["heads"]) if "heads" in told else heads
        groups, eps = int(told.get("groups", groups)), float(told.get("eps", eps))
    except (TypeError, ValueError) as error:
        raise WeightsError("reasons.weights.damaged", name=tensors.name) from error
    return heads, groups, eps if 0 < eps < 1 else SPATIAL[layout].eps


def _look_nonlocal(tensors: TensorFile, tree: Tree, path: str) -> BlockFound | None:
    name = _parent(path, "theta")
    if not (tree.under(name, "phi") and tree.under(name, "g")):
        return None
    leaf = next((leaf for leaf in sorted(tree.under(path)) if leaf.startswith("weight")), "")
    shape = tensors.shape(join(path, leaf)) if leaf else ()
    block = BlockFound(name, "nonlocal", "spatial", shape[1] if len(shape) > 1 else 0, "", None, None)
    return _refused(
        tensors, block, WeightsError("reasons.weights.nonlocal", name=tensors.name, block=shown(block.label))
    )


_PAIRS = (("fc1", "fc2"), ("fc.0", "fc.2"), ("mlp.1", "mlp.3"), ("conv_reduce", "conv_expand"))


def _look_two_layers(tensors: TensorFile, tree: Tree, path: str) -> BlockFound | None:
    """SE and CBAM: a layer that reduces the channels and one that brings them back."""
    pair = next((pair for pair in _PAIRS if path == pair[0] or path.endswith(f".{pair[0]}")), None)
    if pair is None:
        return None
    first, second = pair
    name = _parent(path, first)
    own = tree.under(name)
    if not own >= {f"{first}.weight", f"{second}.weight"}:
        return None
    down, up = (tensors.shape(join(name, layer, "weight")) for layer in (first, second))
    if down[:2] != up[:2][::-1] or not 1 <= down[0] <= down[1] or set(down[2:]) | set(up[2:]) > {1}:
        return None  # a perceptron that widens, or something else
    biased = f"{first}.bias" in own
    parent = name.rpartition(".")[2]
    if first == "mlp.1":
        if parent not in ("", "ChannelGate"):
            return None
        layout, mechanism = "cbam", "cbam"
    elif first == "fc.0":
        layout, mechanism = "se_linear", "se"
    elif first == "fc1" and (not biased or parent == "channel"):
        layout, mechanism = "cbam_convolution", "cbam"
    else:
        layout, mechanism = "se", "se"
    read = {f"{layer}.{leaf}" for layer in (first, second) for leaf in ("weight", "bias")}
    block = BlockFound(name, layout, mechanism, down[1], _dtypes(tensors, name, own & read), None, None, hidden=down[0])
    refusal = None
    if first == "conv_reduce" or (first == "fc1" and _OTHER_ACTIVATIONS.search(name)):
        refusal = WeightsError("reasons.weights.activation", name=tensors.name, block=shown(block.label))
    elif biased != (f"{second}.bias" in own):
        refusal = _incomplete(tensors, block, [f"{first if not biased else second}.bias"])
    elif extra := _extra(own, (first, second), read):
        refusal = _with_extra(tensors, block, extra)
    return _refused(tensors, block, refusal)


def _look_eca(tensors: TensorFile, tree: Tree, path: str) -> BlockFound | None:
    name = _parent(path, "conv")
    if tree.under(path) != {"weight"} or tree.under(name) != {"conv.weight"}:
        return None
    shape = tensors.shape(join(path, "weight"))
    if len(shape) != 3 or shape[:2] != (1, 1) or not shape[2] % 2 or shape[2] > _MAX_KERNEL:
        return None
    dtype = _dtypes(tensors, name, {"conv.weight"})
    return _refused(tensors, BlockFound(name, "eca", "eca", None, dtype, None, None, hidden=shape[2]), None)


def _look_cam(tensors: TensorFile, tree: Tree, path: str) -> BlockFound | None:
    if tree.under(path) != {"gamma"} or tensors.shape(join(path, "gamma")) != (1,):
        return None
    return _refused(tensors, BlockFound(path, "cam", "cam", None, _dtypes(tensors, path, {"gamma"}), None, None), None)


def _look_xca(tensors: TensorFile, tree: Tree, path: str) -> BlockFound | None:
    name = _parent(path, "qkv")
    own = tree.under(name)
    if not own >= {"temperature", "qkv.weight", "proj.weight"}:
        return None
    temperature, qkv = tensors.shape(join(name, "temperature")), tensors.shape(join(path, "weight"))
    heads, channels = temperature[0] if temperature else 0, qkv[1] if len(qkv) > 1 else 0
    read = {"temperature", "qkv.weight", "qkv.bias", "proj.weight", "proj.bias"}
    block = BlockFound(name, "xca", "xca", channels, _dtypes(tensors, name, own & read), heads, None)
    refusal = None
    if "proj.bias" not in own:
        refusal = _incomplete(tensors, block, ["proj.bias"])
    elif extra := _extra(own, ("temperature", "qkv", "proj"), read):
        refusal = _with_extra(tensors, block, extra)
    elif heads < 1 or channels % heads:
        refusal = WeightsError(
            "reasons.weights.groups", name=tensors.name, block=shown(block.label), channels=channels, groups=heads
        )
    return _refused(tensors, block, refusal)


def _parent(path: str, layer: str) -> str:
    return path.removesuffix(layer).removesuffix(".")


def _dtypes(tensors: TensorFile, name: str, leaves: set[str]) -> str:
    return " + ".join(sorted({tensors.dtype(join(name, leaf)) for leaf in leaves}))


def _extra(own: set[str], layers: tuple[str, ...], read: set[str]) -> list[str]:
    """Tensors of a block that its layout does not know: adapters, scales, more norms, loose parameters."""
    return sorted(
        leaf
        for leaf in own - read
        if (leaf and "." not in leaf)
        or leaf.split(".")[0] in _MODIFIERS
        or any(leaf.startswith(f"{layer}.") for layer in layers)
    )


def _refused(tensors: TensorFile, block: BlockFound, refusal: WeightsError | None) -> BlockFound:
    unread = [dtype for dtype in block.dtype.split(" + ") if dtype and dtype not in DTYPES.values()]
    if refusal is None and unread:
        refusal = WeightsError(
            "reasons.weights.dtype", name=tensors.name, tensor=shown(block.label), dtype=", ".join(unread)
        )
    return replace(block, refusal=refusal)


def _incomplete(tensors: TensorFile, block: BlockFound, missing: list[str]) -> WeightsError:
    return WeightsError(
        "reasons.weights.incomplete", name=tensors.name, block=shown(block.label), tensors=listed(missing)
    )


def _with_extra(tensors: TensorFile, block: BlockFound, extra: list[str]) -> WeightsError:
    words = listed([shown(leaf) for leaf in extra])
    return WeightsError("reasons.weights.extra", name=tensors.name, block=shown(block.label), tensors=words)


# A tensor's last directory, that is a layer's own name → who looks whether a block stands around it.
_LOOKS: dict[str, tuple[Callable[[TensorFile, Tree, str], BlockFound | None], ...]] = {
    "q": (_look_spatial("vqgan"),),
    "to_q": (_look_spatial("diffusers"),),
    "query": (_look_spatial("diffusers_old"),),
    "qkv": (_look_spatial("fused_qkv"), _look_xca),
    "query_conv": (_look_spatial("sagan"),),
    "theta": (_look_nonlocal,),
    "fc1": (_look_two_layers,),
    "0": (_look_two_layers,),
    "1": (_look_two_layers,),
    "conv_reduce": (_look_two_layers,),
    "conv": (_look_eca,),
}
