"""One photograph in, everything the page shows out.

The way of a picture: image → stem → features → attention over positions and over channels → numbers.
It is encoded once; every query and every channel is then read from the same arrays.
"""

import hashlib
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from attn.checkpoints import (
    Seeded,
    WeightsInfo,
    build_attention,
    build_from_file,
    build_mechanism,
    has_trained,
    has_tuned,
)
from attn.device import best_device, wait_for
from attn.errors import Note, PlainError
from attn.images import ImageNotice, ImageSource, open_image
from attn.measures.attention import QueryMetrics, mean_overlap, query_metrics, query_specificity
from attn.measures.channels import ChannelStats, channel_stats, relative_change
from attn.mechanisms import MECHANISMS, Kind
from attn.mechanisms.foreign import ForeignMechanism, MechanismError
from attn.mechanisms.spatial import AttnBlock, TraceStep, attention_from
from attn.stems import ModuleStem, ResNetStem, Stem, to_tensor

Array = NDArray[np.float32]
# A module that somebody brings, or what makes one when called with the number of channels: a class, say.
Brought = nn.Module | Callable[[int], nn.Module]


@dataclass(frozen=True)
class Cost:
    """What a mechanism costs at the inspected size: parameters, multiply-adds, measured milliseconds."""

    parameters: int
    multiply_adds: int
    milliseconds: float


@dataclass(frozen=True, eq=False)
class Encoding:
    """A photograph after the stem, with what the AttnBlock compares: enough for every attention map.

    image: (H, W, 3) uint8, the photograph as the stem saw it.
    features: (C, h, w) float32.
    queries, keys: (N, C) float32, positions in row-major order. ``queries @ keys.T`` are the logits:
        the 1/√C and the temperature are already in the queries.
    stem_ms: measured milliseconds of the stem's forward pass.
    notices: what had to be guessed or left out to show the picture, see `open_image`.
    """

    image: NDArray[np.uint8]
    grid: tuple[int, int]
    stride_px: int
    features: Array
    queries: Array
    keys: Array
    stem_ms: float
    notices: tuple[ImageNotice, ...] = field(default=(), kw_only=True)

    @cached_property
    def key(self) -> str:
        """A name for this photograph under these settings: equal encodings have equal ones."""
        digest = hashlib.blake2b(self.image.tobytes(), digest_size=8)
        for factor in (self.queries, self.keys):
            digest.update(np.ascontiguousarray(factor).tobytes())
        return digest.hexdigest()

    @cached_property
    def attention(self) -> Array:
        """(N, N) float32: row = query, column = key, rows sum to 1. Computed when first asked for."""
        return self.attention_rows(range(len(self.queries)))

    @cached_property
    def overlap(self) -> float:
        """The share of their weight that two queries have in common, on average: see `mean_overlap`."""
        return mean_overlap(self.attention_rows(range(len(self.queries))))

    def attention_rows(self, queries: Sequence[int]) -> Array:
        """(len(queries), N) float32: the attention of these queries alone."""
        return _attention(self.queries[np.asarray(queries)], self.keys)

    def __repr__(self) -> str:
        """One line: a photograph and what it was cut into, not its arrays."""
        return f"Encoding({self._size()}, {len(self.features)} channels)"

    def _size(self) -> str:
        height, width = self.image.shape[:2]
        rows, columns = self.grid
        return f"photograph {width} × {height} px, {rows} × {columns} positions of {self.stride_px} px"


@dataclass(frozen=True, eq=False)
class MechanismResult:
    """What one mechanism made of one photograph's features, and what it cost.

    name, title, kind, paper: as in its `attn.mechanisms.Mechanism`; paper is "" where none is known.
    output: (C, h, w) float32.
    statistics: per-channel numbers before and after. change: ‖y − x‖ / ‖x‖.
    specificity: how far the weights depend on the query position, as generalised Jensen–Shannon divergence and mean
        cosine distance; both 0 where no position is a query.
    source: where its weights come from.
    note: what must be said beside it; error: why it gave nothing. Then every number is nan and ``weights`` None.
    others: weights of further kinds, where a module weighs more than once, as CBAM does.
    """

    name: str
    title: str
    kind: Kind
    paper: str
    output: Array
    statistics: ChannelStats
    change: float
    specificity: tuple[float, float]
    cost: Cost
    source: WeightsInfo
    weigh: Callable[[], Array] | None
    note: Note | None = None
    error: PlainError | None = None
    others: dict[Kind, Array] = field(default_factory=dict)

    @classmethod
    def measure(cls, features: Array, output: Array, **facts: Any) -> "MechanismResult":
        """The result with ``statistics`` and ``change`` of these (C, h, w) arrays; ``facts`` are its other fields."""
        statistics, change = channel_stats(features, output), relative_change(features, output)
        return cls(output=output, statistics=statistics, change=change, **facts)

    @property
    def weights(self) -> Array | None:
        """What it weighs with, float32; None where that cannot be seen.

        `gate`: (C,), 0 to 1. `channel_map`: (C, C), rows sum to 1. `spatial_gate`: (h, w), 0 to 1. `spatial`: (N, N),
        rows sum to 1; computed anew whenever it is asked for and never kept, being 64 MB at 64 × 64 positions.
        """
        return None if self.weigh is None else self.weigh()


@dataclass(frozen=True, eq=False)
class Inspection(Encoding):
    """An `Encoding` with what every mechanism made of the features, and the numbers of METRICS.

    mechanisms: name → `MechanismResult`, in the order of the registry; "spatial" is the AttnBlock.
    query_metrics: per query of the AttnBlock; specificity: generalised Jensen–Shannon and mean pairwise cosine form.
    trace: the shape of every step of the AttnBlock.
    """

    mechanisms: dict[str, MechanismResult]
    query_metrics: QueryMetrics
    specificity: tuple[float, float]
    trace: list[TraceStep]
    stem: str
    stage: str
    detail: str = "fine"

    def __repr__(self) -> str:
        """One line: the photograph, the network, the grid and the mechanisms with where their weights come from."""
        sources = ", ".join(f"{name} {result.source.source}" for name, result in self.mechanisms.items())
        return f"Inspection({self._size()}, {self.stem} {self.stage} {self.detail}; {sources})"

    def save_html(self, path: str | Path, *, title: str = "", language: str | None = None, view: str = "") -> Path:
        """Write the window on this photograph as one HTML file that needs no server; gives its path.

        Arguments and errors as of `attn.figures.document.document`; the title is the file's name if none is given.
        """
        from attn.figures.document import document

        path = Path(path)
        path.write_text(document(self, title=title or path.stem, language=language, view=view), "utf-8")
        return path

    def _repr_html_(self) -> str:
        """What a notebook shows: the window, in a frame of its own."""
        from attn.figures.document import document, frame

        return frame(document(self))


class Inspector:
    """A stem with one AttnBlock and every other mechanism of the registry, ready for any number of photographs.

    Nothing about a photograph is kept here, so one inspector may serve many threads.

    Args:
        stem, stage, detail: see `ResNetStem`.
        weights: of the AttnBlock: "trained", "tuned", "similarity", "random" or "file"; None takes the first of
            "tuned", "trained" and "similarity" that exists for this stem and stage. With "tuned" the stem's last
            stages are those that learnt together with the block, and every mechanism works on their features.
        position: give the trained block its 2-D encoding.
        seed: of random weights.
        file: for ``weights="file"``, a safetensors file of any layout in `attn.checkpoints.layouts`, an index of
            shards, or a folder. If it holds a channel module, that mechanism is the file's, and the AttnBlock has its
            default weights.
        file_block: which of several blocks, a name of `list_blocks`: "decoder.mid.attn_1". None takes the only fitting.
        temperature: divides the logits; None takes the weights' own.
        max_rows: refuse photographs whose grid would have more rows or columns than this; None takes any.
        device: "cuda", "mps", "cpu" …; None takes the accelerator where there is one (`best_device`). What comes out
            are NumPy arrays all the same. Maps in float32 agree between devices within 0.01 × uniform; cuDNN's TF32,
            PyTorch's default for convolutions on recent GPUs, is coarser (README, “Devices”).

        block: in the AttnBlock's place, an AttnBlock or any module with `norm`, `q`, `k`, `v` and `proj_out`.
        mechanisms: name → anyone's module for features (b, C, h, w), or what makes one when called with C; see
            `attn.mechanisms.foreign`. A module is put in eval mode and on the device; one that fails spoils nothing
            else: its result carries the error.
        kinds: name → kind, where the shape of its weights would not tell.

    ``stem`` may be a module, too: its stride and channels are measured, see `attn.stems.ModuleStem`; ``stage`` and
    ``detail`` are then left aside.

    Raises:
        ValueError: unknown names, a file, a block or a network that does not fit; RuntimeError: weights that cannot be
            had.
    """

    def __init__(
        self,
        stem: str | nn.Module = "bundled",
        stage: str = "layer3",
        *,
        detail: str = "fine",
        weights: str | None = None,
        position: bool = True,
        seed: int = 0,
        file: str | Path | None = None,
        file_block: str | None = None,
        temperature: float | None = None,
        max_rows: int | None = None,
        device: str | torch.device | None = None,
        block: nn.Module | None = None,
        mechanisms: Mapping[str, Brought] | None = None,
        kinds: Mapping[str, Kind] | None = None,
    ) -> None:
        self.device = best_device() if device is None else torch.device(device)
        network = ModuleStem(stem) if isinstance(stem, nn.Module) else None
        if isinstance(stem, nn.Module):
            stem = stage = ""
        trained = has_trained(stem, stage)
        if weights is None and has_tuned(stem, stage):
            weights = "tuned"
        self.stem: Stem = network or ResNetStem(stem, stage, detail=detail, tuned=weights == "tuned")
        self.max_rows = max_rows
        channels = self.stem.channels
        own: dict[str, tuple[nn.Module, WeightsInfo]] = {}
        if weights == "file":
            mechanism, module, info = build_from_file(channels, file, file_block, temperature=temperature)
            own[mechanism] = module, info
            weights = None
        if weights is None:
            weights = "trained" if trained else "similarity"
        if block is not None:
            block, info = adopted(block, channels), WeightsInfo("own", detail={"temperature": 1.0})
        else:
            block, info = own.get("spatial") or build_attention(
                channels, weights, stem=stem, stage=stage, position=position, seed=seed, temperature=temperature
            )
        assert isinstance(block, AttnBlock)
        self.block = block
        self.mechanisms: dict[str, nn.Module] = {"spatial": block}
        self.sources: dict[str, WeightsInfo] = {"spatial": info}
        self.failed: dict[str, PlainError] = {}
        for name in MECHANISMS:
            if name in self.mechanisms:
                continue
            of_block = MECHANISMS[name].of_block
            if of_block is not None:
                self.mechanisms[name], self.sources[name] = of_block(block), info
                continue
            source = "trained" if has_trained(stem, stage, name) else "random"
            if self.stem.tuned:
                source = "tuned" if has_tuned(stem, stage, name) else "random"
            self.mechanisms[name], self.sources[name] = own.get(name) or build_mechanism(
                name, channels, source, stem=stem, stage=stage, seed=seed
            )
        for name, brought in (mechanisms or {}).items():
            self._bring(name, brought, (kinds or {}).get(name), seed)
        for module in (self.stem, *self.mechanisms.values()):
            module.eval().to(self.device)

    def _bring(self, name: str, brought: Brought, kind: Kind | None, seed: int) -> None:
        """Take somebody's module among the mechanisms; what goes wrong in making it is kept for the results."""
        if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) or name in self.mechanisms:
            raise MechanismError("reasons.mechanism.name", taken=list(self.mechanisms), name=repr(name)[:60])
        channels = self.stem.channels
        module: Any = brought
        self.sources[name] = WeightsInfo("own")
        if not isinstance(brought, nn.Module):
            try:
                with Seeded(seed):
                    module = brought(channels)
            except Exception as error:  # anyone's code raises anything
                reason = f"{type(error).__name__}: {error}"[:200]
                self.failed[name] = MechanismError(
                    "reasons.mechanism.build", name=name, channels=channels, reason=reason
                )
                module = nn.Identity()
        if not isinstance(module, nn.Module):
            raise MechanismError("reasons.mechanism.module", name=name, kind=type(module).__name__)
        self.mechanisms[name] = ForeignMechanism(name, module, kind)

    @torch.inference_mode()
    def encode(self, image: ImageSource, longest_side: int = 320) -> Encoding:
        """The photograph's features, queries and keys: all that the map needs, before anything else is computed.

        Args:
            image: a path, bytes, a file object, a PIL image or an (H, W, 3) array.
            longest_side: in pixels; the picture is scaled to it, keeping its shape.

        Raises:
            ImageError: a picture that cannot be used; GridTooLarge: more positions than ``max_rows`` allows.
        """
        notices: list[ImageNotice] = []
        photograph = open_image(image, notices)
        if self.max_rows is not None:
            self.stem.check_grid(photograph.size, longest_side, self.max_rows, self.max_rows)
        height, width = self.stem.input_size(photograph.size, longest_side)
        seen = photograph.resize((width, height), Image.Resampling.BILINEAR)
        pixels = to_tensor(seen, (height, width), self.stem.mean, self.stem.std).to(self.device)
        wait_for(self.device)
        start = time.perf_counter()
        x = self.stem(pixels)
        wait_for(self.device)
        stem_ms = 1000 * (time.perf_counter() - start)
        q, k = self.block.queries_keys(x)
        return Encoding(
            image=np.array(seen),
            grid=(x.shape[2], x.shape[3]),
            stride_px=self.stem.stride_px,
            features=_array(x[0]),
            queries=_array(q[0]),
            keys=_array(k[0]),
            stem_ms=stem_ms,
            notices=tuple(notices),
        )

    @torch.inference_mode()
    def inspect(self, image: ImageSource | Encoding, longest_side: int = 320) -> Inspection:
        """Everything about one photograph, as NumPy arrays and numbers.

        Arguments and errors as for `encode`, whose result may be given too, so that nothing is computed twice.
        """
        encoding = image if isinstance(image, Encoding) else self.encode(image, longest_side)
        x = torch.from_numpy(encoding.features)[None].to(self.device)  # (1, C, h, w)
        # Held only while its numbers are taken: at 64 × 64 positions the map is 64 MB.
        attention = encoding.attention_rows(range(len(encoding.queries)))
        specificity = query_specificity(attention)
        results = {
            name: self._foreign_result(name, module, x, encoding)
            if isinstance(module, ForeignMechanism)
            else self._result(name, x, encoding, specificity)
            for name, module in self.mechanisms.items()
        }
        return Inspection(
            **{each.name: getattr(encoding, each.name) for each in fields(encoding)},
            mechanisms=results,
            query_metrics=query_metrics(attention, encoding.grid, encoding.stride_px),
            specificity=specificity,
            trace=self.block.trace(x),
            stem=self.stem.name,
            stage=self.stem.stage,
            detail=self.stem.detail,
        )

    def _timed(self, module: nn.Module, x: Tensor) -> tuple[Tensor, float]:
        """The module's output for x, and the milliseconds it took."""
        module(x)  # the first call of a size also chooses kernels and takes memory
        wait_for(self.device)
        start = time.perf_counter()
        y = module(x)
        wait_for(self.device)
        return y, 1000 * (time.perf_counter() - start)

    def _foreign_result(self, name: str, module: ForeignMechanism, x: Tensor, encoding: Encoding) -> MechanismResult:
        """What somebody's module makes of features x (1, C, h, w), or why it makes nothing of them."""
        parameters = sum(p.numel() for p in module.parameters())
        facts: dict[str, Any] = {
            "name": name,
            "title": module.title,
            "paper": module.paper,
            "source": self.sources[name],
        }
        try:
            if name in self.failed:
                raise self.failed[name]
            seen = module.run(x)
            _, milliseconds = self._timed(module, x)
            cost = Cost(parameters, module.count(x), milliseconds)
        except PlainError as error:
            nothing = np.full_like(encoding.features, np.nan)
            statistics = ChannelStats(*[np.full(len(nothing), np.nan)] * len(fields(ChannelStats)))
            return MechanismResult(
                output=nothing,
                statistics=statistics,
                change=math.nan,
                kind="none",
                specificity=(0.0, 0.0),
                cost=Cost(parameters, 0, math.nan),
                weigh=None,
                error=error,
                **facts,
            )
        found = {kind: _array(weights) for kind, weights in seen.weights.items()}
        kind: Kind = next(iter(found), module.given or "none")
        specificity, weigh = (0.0, 0.0), None
        if kind == "spatial" and found:
            specificity = query_specificity(found[kind])
            weigh = partial(_seen_again, module, encoding.features, self.device)
        elif found:
            weigh = partial(kept, found[kind])
        return MechanismResult.measure(
            encoding.features,
            _array(seen.output[0]),
            kind=kind,
            specificity=specificity,
            cost=cost,
            weigh=weigh,
            note=seen.note,
            others={each: weights for each, weights in found.items() if each not in (kind, "spatial")},
            **facts,
        )

    def _result(self, name: str, x: Tensor, encoding: Encoding, specificity: tuple[float, float]) -> MechanismResult:
        """What one mechanism makes of features x (1, C, h, w)."""
        module: Any = self.mechanisms[name]
        y, milliseconds = self._timed(module, x)
        parameters = sum(p.numel() for p in module.parameters())
        output = _array(y[0])
        weigh: Callable[[], Array]
        if module.kind == "spatial":
            weigh = partial(_attention, encoding.queries, encoding.keys)
        else:
            weigh = partial(kept, _array(module(x, return_attention=True)[1][0]))
        return MechanismResult.measure(
            encoding.features,
            output,
            name=name,
            title=module.title,
            kind=module.kind,
            paper=module.paper,
            specificity=specificity if module.kind == "spatial" else (0.0, 0.0),
            cost=Cost(parameters, module.multiply_adds(*encoding.grid), milliseconds),
            source=self.sources[name],
            weigh=weigh,
        )


def _seen_again(module: ForeignMechanism, features: Array, device: torch.device) -> Array:
    """A spatial map (N, N) of somebody's module, for features (C, h, w), made anew."""
    with torch.inference_mode():
        return _array(module.run(torch.from_numpy(features)[None].to(device)).weights["spatial"])


def adopted(block: nn.Module, channels: int) -> AttnBlock:
    """An AttnBlock of this block's own `norm`, `q`, `k`, `v` and `proj_out`; an AttnBlock is taken as it is.

    Raises MechanismError where they are missing.
    """
    if isinstance(block, AttnBlock) and block.channels == channels:
        return block
    layers = {name: getattr(block, name, None) for name in ("norm", "q", "k", "v", "proj_out")}
    if isinstance(block, AttnBlock) or not all(isinstance(layer, nn.Module) for layer in layers.values()):
        raise MechanismError("reasons.mechanism.block", channels=channels, kind=type(block).__name__)
    with torch.device("meta"):
        own = MECHANISMS["spatial"].build(channels)
    for name, layer in layers.items():
        setattr(own, name, layer)
    assert isinstance(own, AttnBlock)
    return own


def _array(tensor: Tensor) -> Array:
    """In C order, wherever the tensor lives."""
    return tensor.detach().contiguous().cpu().numpy()


def _attention(queries: Array, keys: Array) -> Array:
    """Attention of queries (Q, C) over keys (N, C), (Q, N)."""
    return attention_from(torch.from_numpy(queries), torch.from_numpy(keys)).numpy()


def kept(weights: Array) -> Array:
    """The weights themselves, where they are small enough to be held: what `MechanismResult.weigh` calls."""
    return weights
