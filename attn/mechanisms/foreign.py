"""Anyone's module as a mechanism: it needs `forward(x) → y` of x's shape; what it weighs is looked for while it runs.

A module shows its weights in the first of these ways that it knows:

1. `forward` takes `return_attention=True` and then gives (y, weights);
2. while it runs it sets an attribute named `attention`, `attn`, `weights` or `attention_weights` on itself or a part;
3. it calls a softmax, a sigmoid or `scaled_dot_product_attention`, as PyTorch's own layers do.

The shape tells the kind (see `attn.mechanisms.base`), unless the module has an attribute `kind` or the kind is given.
Maps of heads are averaged, and a note says so; a head's map of its own channels has its place on the diagonal. A module
may take tokens, (b, N, C), in place of (b, C, h, w).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from attn.errors import Note, PlainError
from attn.mechanisms.base import KINDS, Kind

ATTRIBUTES = ("attention", "attn", "weights", "attention_weights")
_WEIGHING = {
    "softmax",
    "special_softmax",
    "sigmoid",
    "sigmoid_",
    "special_expit",
    "expit",
    "hardsigmoid",
    "hardsigmoid_",
}
_LONGEST_REASON = 200


class MechanismError(PlainError, ValueError):
    """A module that cannot be shown as a mechanism; the sentence names it."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One run of a module: its output (1, C, h, w), and its weights by kind, most telling first.

    weights: `spatial` (N, N), `gate` (C,), `channel_map` (C, C), `spatial_gate` (h, w).
    """

    output: Tensor
    weights: dict[Kind, Tensor] = field(default_factory=dict)
    note: Note | None = None


class ForeignMechanism(nn.Module):
    """A module with the call shape of a mechanism, its own output and the weights that could be seen.

    title is the module's own, else its class's name; paper its own or "". kind is what is given, else the module's own,
    else what the last run showed; "none" until then, and where nothing can be seen.
    """

    def __init__(self, name: str, module: nn.Module, kind: Kind | None = None) -> None:
        super().__init__()
        self.name = name
        self.module = module
        given = kind or getattr(module, "kind", None)
        if given is not None and given not in KINDS:
            raise MechanismError("reasons.mechanism.kind", name=name, kinds=list(KINDS), kind=given)
        self.given: Kind | None = given
        self.kind: Kind = given or "none"
        self.title = str(getattr(module, "title", "") or type(module).__name__)
        self.paper = str(getattr(module, "paper", ""))

    def forward(self, x: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor | None]:
        """Output (1, C, h, w); with `return_attention` also the weights of `kind` with a batch axis, or None.

        Raises MechanismError where the module raises or gives something else than numbers of x's shape.
        """
        if not return_attention:
            return self._call(x)[0]
        seen = self.run(x)
        weights = seen.weights.get(self.kind)
        return seen.output, None if weights is None else weights[None]

    def count(self, x: Tensor) -> int:
        """Multiply-adds for x: half of what `torch.utils.flop_counter` counts, which are products and convolutions."""
        with FlopCounterMode(display=False) as counter:
            self._call(x)
        return counter.get_total_flops() // 2

    def run(self, x: Tensor) -> Seen:
        """The module's output for x (1, C, h, w), and what it was seen to weigh with."""
        _, channels, height, width = x.shape
        before = self._attributes()
        with _Watch() as watch:
            output, own = self._call(x, attention=True)
        after = [t for key, t in self._attributes().items() if t is not before.get(key)]
        found: dict[Kind, Tensor] = {}
        heads = 0
        for candidates in ([own] if own is not None else [], after, watch.seen):
            for tensor in candidates:
                kind, weights, mean_of = _classified(tensor, channels, height, width, self.given)
                if kind is not None:
                    found.pop(kind, None)
                    found[kind] = weights
                    heads = max(heads, mean_of)
            if found:
                break
        if self.given in found:
            found = {self.given: found.pop(self.given), **found}
        elif self.given is not None:
            found = {}
        shown: Kind = next(iter(found), "none")
        self.kind = self.given or shown
        return Seen(output, found, self._note(found, heads, channels == height * width))

    def _note(self, found: dict[Kind, Tensor], heads: int, ambiguous: bool) -> Note | None:
        if not found:
            return Note("reasons.mechanism.unseen", name=self.name)
        if heads > 1:
            return Note("reasons.mechanism.heads", name=self.name, heads=heads)
        if ambiguous and self.given is None:
            return Note("reasons.mechanism.ambiguous", name=self.name, kind=self.kind)
        if len(found) > 1:
            return Note("reasons.mechanism.several", name=self.name, kinds=list(found))
        return None

    def _attributes(self) -> dict[tuple[int, str], Tensor]:
        """The tensors that the module and its parts keep under a telling name; parameters are none."""
        kept = (
            (at, name, vars(part).get(name)) for at, part in enumerate(self.module.modules()) for name in ATTRIBUTES
        )
        return {(at, name): value for at, name, value in kept if isinstance(value, Tensor)}

    def _call(self, x: Tensor, attention: bool = False) -> tuple[Tensor, Tensor | None]:
        """The module's output and, if it gives them itself, its weights; x is copied, so that no module changes it."""
        asked = {"return_attention": True} if attention and _takes_return_attention(self.module) else {}
        try:
            given = self.module(x.clone(), **asked)
            if _first(given) is None or _first(given).shape != x.shape:  # type: ignore[union-attr]
                given = self._of_tokens(x, asked) or given
        except Exception as error:  # anyone's code raises anything
            given = self._of_tokens(x, asked)
            if given is None:
                reason = f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
                raise MechanismError("reasons.mechanism.raised", name=self.name, reason=reason) from error
        output = _first(given)
        if output is None:
            raise MechanismError("reasons.mechanism.output", name=self.name, kind=type(given).__name__)
        if output.shape != x.shape:
            expected, shape = tuple(x.shape), tuple(output.shape)
            raise MechanismError("reasons.mechanism.shape", name=self.name, expected=expected, shape=shape)
        if not output.isfinite().all():
            raise MechanismError("reasons.mechanism.nan", name=self.name)
        own = given[1] if asked and isinstance(given, Sequence) and len(given) > 1 else None
        return output.to(x.dtype), own if isinstance(own, Tensor) else None

    def _of_tokens(self, x: Tensor, asked: Mapping[str, Any]) -> Any:
        """What the module gives for x as tokens (b, N, C), as a feature map again; None where it takes none."""
        tokens = x.flatten(2).transpose(1, 2).clone()
        try:
            given = self.module(tokens, **asked)
        except Exception:  # it takes no tokens either: what it said of the feature map counts
            return None
        output = _first(given)
        if output is None or output.shape != tokens.shape:
            return None
        folded = output.transpose(1, 2).reshape(x.shape)
        return (folded, *given[1:]) if isinstance(given, tuple) else folded


class _Watch(TorchFunctionMode):
    """Keeps what softmax, sigmoid and scaled_dot_product_attention gave, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in _WEIGHING and isinstance(result, Tensor):
            self.seen.append(result.clone())
        elif name == "scaled_dot_product_attention":
            attention = _product_attention(*args, **(kwargs or {}))
            if attention is not None:
                self.seen.append(attention)
        elif name == "multi_head_attention_forward" and isinstance(result[1], Tensor):
            self.seen.append(result[1])
        return result


def _product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    """The map that `scaled_dot_product_attention` does not give, (…, heads, L, S); None with a mask or shared keys."""
    if attn_mask is not None or is_causal or enable_gqa:
        return None
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return (query.float() * scale @ key.float().transpose(-2, -1)).softmax(dim=-1)


def _classified(
    tensor: Tensor, channels: int, height: int, width: int, given: Kind | None
) -> tuple[Kind | None, Tensor, int]:
    """The kind of weights a tensor is for one (C, h, w) map, the weights, and of how many heads they are the mean."""
    nothing = (None, tensor, 0)
    if not tensor.is_floating_point() or not tensor.isfinite().all():
        return nothing
    positions = height * width
    values = tensor.detach().float()
    shape = tuple(values.shape)
    square = shape[-1] if len(shape) >= 2 and shape[-1] == shape[-2] else 0
    heads = values.numel() // square**2 if square else 0
    possible: list[Kind] = []
    if square > 1 or (square and len(shape) < 4):
        possible += ["spatial"] if square == positions else []
        possible += ["channel_map"] if square * heads == channels or square == channels else []
    if values.numel() == channels and (len(shape) < 3 or shape[-2:] == (1, 1) or channels in shape[-2:]):
        possible.append("gate")
    if values.numel() == positions and (shape[-2:] == (height, width) or positions in shape[-2:]):
        possible.append("spatial_gate")
    if shape[-2:] == (height, width) and "gate" in possible and "spatial_gate" in possible and shape[-2:] != (1, 1):
        possible.remove("gate")
    kind = given if given in possible else next(iter(possible), None)
    if kind is None or (given is None and _is_input_like(shape, channels, height, width)):
        return nothing
    if kind == "gate":
        return kind, values.reshape(channels), 0
    if kind == "spatial_gate":
        return kind, values.reshape(height, width), 0
    maps = values.reshape(heads, square, square)
    off_rows, off_columns = (float((maps.sum(axis) - 1).abs().max()) for axis in (-1, -2))
    if min(off_rows, off_columns) > 1e-2:
        return nothing
    if off_columns < 0.1 * off_rows:
        maps = maps.transpose(-2, -1)  # a softmax over columns: rows are to be queries
    if kind == "channel_map" and square != channels:
        return kind, torch.block_diag(*maps), 0
    return kind, maps.mean(0), heads


def _is_input_like(shape: tuple[int, ...], channels: int, height: int, width: int) -> bool:
    """Whether the tensor is a whole feature map, as of a sigmoid that is only an activation."""
    return shape[-3:] == (channels, height, width) and height * width > 1 and channels > 1


def _first(given: Any) -> Tensor | None:
    first = given[0] if isinstance(given, tuple | list) and given else given
    return first if isinstance(first, Tensor) else None


def _takes_return_attention(module: nn.Module) -> bool:
    try:
        return "return_attention" in inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        return False


def load_mechanism(spec: str) -> tuple[str, Callable[[int], nn.Module]]:
    """The name and the maker of "package.module:Class", which is imported; the name of MyAttention is my_attention.

    Raises MechanismError where there is none. Importing runs the module's code: specs come from who starts the program.
    """
    module_name, _, attribute = spec.partition(":")
    try:
        made: Any = getattr(import_module(module_name), attribute)
    except Exception as error:  # anyone's code raises anything
        raise MechanismError(
            "reasons.mechanism.spec", spec=spec, reason=f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
        ) from error
    if not callable(made):
        raise MechanismError("reasons.mechanism.spec", spec=spec, reason=f"{type(made).__name__}")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", attribute).lower(), made
