"""Where the weights of an attention module come from: trained, tuned, feature similarity, random, or a file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from attn.bundled import TUNED_FILES, WeightsUnavailable, bundled_names, is_bundled, load_bundled
from attn.checkpoints.files import WeightsError
from attn.checkpoints.modules import read_block
from attn.mechanisms import MECHANISMS
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock

SOURCES = ("trained", "tuned", "similarity", "random", "file")
# The bundled stem lives in ResNet-18's feature space, so blocks trained for one fit the other.
TRAINED_STEMS = ("bundled", "resnet18")
TRAINED_STAGES = ("layer2", "layer3")
# Longest sides in px within which trained attention has learnt (256 to 384) or was seen to be as sharp (512). At much
# larger ones the same thing covers many more positions than it ever did, and the softmax spreads.
TRAINED_SIDES = (256, 512)


@dataclass(frozen=True)
class WeightsInfo:
    """Where a module's weights come from: its badge on the page.

    seed: of "random" weights. file: name of the file read, without its folder. detail: "temperature" of an
    AttnBlock, "position" of a trained or tuned one and "sides", the least and largest longest side in px it is
    meant for; of a file "block", its name there, "layout" and "dtype" as in `BlockFound`, and "heads" where the file
    says how many there are.
    """

    source: str
    seed: int | None = None
    file: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def has_trained(stem: str, stage: str, mechanism: str = "attn") -> bool:
    """Whether trained weights of a mechanism ("attn": the AttnBlock) for this network and stage are here."""
    return stem in TRAINED_STEMS and stage in TRAINED_STAGES and _holds(_trained_file(stage), mechanism)


def has_tuned(stem: str, stage: str, mechanism: str = "attn") -> bool:
    """Whether weights of a mechanism are here that go with this stage of this network tuned."""
    return stem == "bundled" and stage in TUNED_FILES and _holds(TUNED_FILES[stage], mechanism)


def build_attention(
    channels: int,
    source: str,
    *,
    stem: str,
    stage: str,
    position: bool = True,
    seed: int = 0,
    file: str | Path | None = None,
    file_block: str | None = None,
    temperature: float | None = None,
) -> tuple[AttnBlock, WeightsInfo]:
    """An AttnBlock for features of `channels` channels, in eval mode, and where its weights come from.

    - "trained": the block trained for `stem` and `stage`, with its 2-D position encoding or without.
    - "tuned": the block that learnt together with the stage, for features of a `ResNetStem` with `tuned=True` only.
    - "similarity": q, k, v and proj_out are the identity, so the map is the softmax of the normalised features'
      inner products, and the output adds to each position the attention's mean of those features.
    - "random": PyTorch's default initialisation from `seed`, as in the note. The global generator is not touched.
    - "file": an AttnBlock out of a safetensors file, see `attn.checkpoints.layouts`; `file_block` names one of several.

    `temperature` divides the logits; None takes the source's own: 1, or for "similarity" `similarity_temperature`.
    Raises ValueError for an unknown source or argument, WeightsError for a file that does not fit, and
    WeightsUnavailable (DamagedWeights where it is not the original) for trained weights that cannot be had.
    """
    if source not in SOURCES:
        raise ValueError(f"expected source to be one of {', '.join(SOURCES)}, got {source!r}")
    if source == "file":
        _, own, info = build_from_file(channels, file, file_block, temperature=temperature, only="spatial")
        assert isinstance(own, AttnBlock)
        return own, info
    if temperature is None:
        temperature = similarity_temperature(channels) if source == "similarity" else 1.0
    _check_temperature(temperature)
    learnt = source in ("trained", "tuned")
    encoding = SinusoidalEncoding2d(channels) if learnt and position else None
    with Seeded(seed):
        block = AttnBlock(channels, groups=math.gcd(32, channels), encoding=encoding, temperature=temperature)
    detail: dict[str, Any] = {"temperature": temperature}
    name = None
    if learnt:
        name = _load_learnt(block, "attn_position" if position else "attn", source, stem, stage)
        detail |= {"position": position, "sides": TRAINED_SIDES}
    elif source == "similarity":
        for layer in (block.q, block.k, block.v, block.proj_out):
            nn.init.dirac_(layer.weight)
            nn.init.zeros_(layer.get_parameter("bias"))
    info = WeightsInfo(source, seed if source == "random" else None, name, detail)
    return block.eval().requires_grad_(False), info


def build_from_file(
    channels: int,
    file: str | Path | None,
    file_block: str | None = None,
    *,
    temperature: float | None = None,
    only: str | None = None,
) -> tuple[str, nn.Module, WeightsInfo]:
    """The module of a file that somebody brings: its mechanism ("spatial", "se", …), itself, where it comes from.

    `file_block` is the name of a block of `list_blocks`; without it the only one that fits `channels` is taken. `only`
    leaves other mechanisms aside. `temperature` divides an AttnBlock's logits. Raises WeightsError, see `read_block`,
    and ValueError for a temperature that is none.
    """
    if temperature is not None:
        _check_temperature(temperature)
    if file is None:
        raise WeightsError("reasons.weights.none")
    module, found = read_block(file, channels, file_block, only=only)
    detail: dict[str, Any] = {"block": found.name, "layout": found.layout, "dtype": found.dtype}
    if found.heads is not None:
        detail["heads"] = found.heads
    if isinstance(module, AttnBlock):
        module.temperature = detail["temperature"] = 1.0 if temperature is None else temperature
    return found.mechanism, module, WeightsInfo("file", file=Path(file).name, detail=detail)


def _check_temperature(temperature: float) -> None:
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"expected a finite temperature above 0, got {temperature}")


def build_mechanism(
    name: str, channels: int, source: str, *, stem: str, stage: str, seed: int = 0
) -> tuple[nn.Module, WeightsInfo]:
    """One of MECHANISMS for features of `channels` channels, "trained", "tuned" or "random", in eval mode.

    "tuned" has learnt on the features of a stage that was tuned with the AttnBlock.

    Raises as `build_attention`, which has more to choose from for the AttnBlock.
    """
    if name not in MECHANISMS:
        raise ValueError(f"expected a mechanism of {', '.join(MECHANISMS)}, got {name!r}")
    if source not in ("trained", "tuned", "random"):
        raise ValueError(f"expected source to be trained, tuned or random, got {source!r}")
    with Seeded(seed):
        module = MECHANISMS[name].build(channels)
    if source == "random":
        info = WeightsInfo("random", seed)
    else:
        info = WeightsInfo(source, file=_load_learnt(module, name, source, stem, stage))
    return module.eval().requires_grad_(False), info


def similarity_temperature(channels: int) -> float:
    """The temperature of "similarity": logits are 8 × the product of two positions' features, averaged over channels.

    Without it (temperature 1) a position at ResNet-18's layer3 gives itself 0.76 of its attention; with it 0.40. The
    normalised entropy is 0.58 at layer1 and at layer3 (16 BSDS500 photographs; layer2 was not measured).
    """
    return math.sqrt(channels) / 8


class Seeded(TorchFunctionMode):
    """Initialisers inside draw from their own generator: the numbers of `torch.manual_seed(seed)`, no global state.

    Unlike `torch.random.fork_rng`, it holds for the current thread alone. Parameters are made in float32 on the
    processor, whatever the program's default dtype and device are.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise ValueError(f"expected a seed from 0 to 2^63 - 1, got {seed!r}")
        self.generator = torch.Generator(device="cpu").manual_seed(seed)

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in (nn.init.kaiming_uniform_, nn.init.uniform_):  # all that convolutions and linear layers call
            kwargs["generator"] = self.generator
        if func in (torch.empty, torch.zeros, torch.ones):  # all that layers make their parameters with
            kwargs["dtype"] = kwargs.get("dtype") or torch.float32
            kwargs["device"] = kwargs.get("device") or "cpu"
        return func(*args, **kwargs)


def _holds(file: str, mechanism: str) -> bool:
    if not is_bundled(file):
        return False
    names = bundled_names(file)
    return names is None or any(name.startswith(f"{mechanism}.") for name in names)


def _trained_file(stage: str) -> str:
    return f"attention_{stage}.safetensors"


def _load_learnt(module: nn.Module, mechanism: str, source: str, stem: str, stage: str) -> str:
    if source == "tuned":
        if stem != "bundled" or stage not in TUNED_FILES:
            raise WeightsUnavailable("reasons.bundled.untuned", stem=stem, stage=stage)
        file = TUNED_FILES[stage]
    else:
        if stem not in TRAINED_STEMS or stage not in TRAINED_STAGES:
            raise WeightsUnavailable("reasons.bundled.untrained", stem=stem, stage=stage)
        file = _trained_file(stage)
    prefix = f"{mechanism}."
    weights = {name.removeprefix(prefix): t for name, t in load_bundled(file).items() if name.startswith(prefix)}
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise WeightsUnavailable("reasons.bundled.block", file=file, mechanism=mechanism) from error
    return file
