"""The AttnBlock's output without its map: faster, and nothing of size N × N is held.

It reads the weights of `q`, `k`, `v` and `proj_out` instead of calling them, so it is taken only where a call would do
nothing else: see `takes`. `AttnBlock.forward` is the explanation, and what everything else goes through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules.module import _has_any_global_hook

if TYPE_CHECKING:
    from attn.mechanisms.spatial import AttnBlock

# Query elements asked at once: all of a small feature map, which is fastest; little (0.5 MB) beside a large one.
ELEMENTS_AT_ONCE = 2**19
ELEMENTS_OF_A_SLICE = 2**17
KERNEL_BLOCK = 256  # queries that the processor's kernel takes at a time, where there are three times as many


def takes(block: AttnBlock, x: Tensor) -> bool:
    """Whether the fast path gives what calling the layers gives: plain layers, plain tensors, no gradients, no tracing.

    Not plain are adapters in a layer's place, hooks, parametrisations, the older `weight_norm`, `spectral_norm` and
    `prune`, modules whose `forward` was replaced (CPU off-loading), subclasses of tensors (quantised weights), layers
    of another precision than x, and autocast.
    """
    if torch.jit.is_tracing() or torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export():
        return False
    if type(x) is not Tensor or torch.is_autocast_enabled(x.device.type):
        return False
    if forward_ad._current_level >= 0 or torch._C._functorch.maybe_current_level() is not None:
        return False  # forward-mode derivatives, `torch.func`
    if torch.is_grad_enabled() and (x.requires_grad or any(p.requires_grad for p in block.parameters())):
        return False  # first and second derivatives
    layers = (block.q, block.k, block.v, block.proj_out)
    return not _has_any_global_hook() and all(_is_plain(layer, block.channels, x) for layer in layers)


def _is_plain(layer: nn.Module, channels: int, x: Tensor) -> bool:
    """A 1×1 convolution as `nn.Conv2d` made it, with nothing hung on its call."""
    if type(layer) is not nn.Conv2d or "forward" in vars(layer):
        return False
    if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks:
        return False
    if layer.weight.shape != (channels, channels, 1, 1) or (*layer.stride, *layer.padding) != (1, 1, 0, 0):
        return False
    own = (layer._parameters.get("weight"), layer._parameters.get("bias"))
    return all(type(each) is nn.Parameter and each.dtype == x.dtype and each.device == x.device for each in own)


def output(block: AttnBlock, x: Tensor) -> Tensor:
    """What `block(x)` gives, (b, C, h, w), for a block and an x that `takes` accepts."""
    # Composed matrices round once more; half precision has no digits to spare for it.
    if x.shape[2] * x.shape[3] > block.channels and x.dtype in (torch.float32, torch.float64):
        return _composed(block, x)
    h, seen = _normalised(block, x)
    q = _affine(seen, *_matrix(block.q), scale=block.scale)
    out = _attended(q, _affine(seen, *_matrix(block.k)), _affine(h, *_matrix(block.v)))  # (b, N, C)
    weight, bias = _matrix(block.proj_out)
    added = torch.baddbmm(bias[:, None], weight.expand(len(out), -1, -1), out.transpose(1, 2))  # (b, C, N)
    return x + added.view_as(x)


def _normalised(block: AttnBlock, x: Tensor) -> tuple[Tensor, Tensor]:
    """What v sees and what q and k see, (b, N, C) each, as views."""
    h, seen = block._normalised(x)
    return _to_tokens(h), _to_tokens(seen)


def _composed(block: AttnBlock, x: Tensor) -> Tensor:
    """The output, where positions outnumber channels: two matrices in a row then cost less as one.

    As rows sum to 1, the mean of W_v h + b_v is W_v (mean of h) + b_v, and proj_out follows. And
    (W_q hᵢ + b_q)·(W_k hⱼ + b_k) is W_kᵀ(W_q hᵢ + b_q)·hⱼ plus what depends on i alone, which no softmax sees.
    So the normalised features serve as keys and values, and beside them and the output only some queries at a
    time take memory.
    """
    h, seen = _normalised(block, x)
    # As rows; what they were views of is freed.
    h, seen = (h.contiguous(), seen.contiguous()) if block.encoding else (h.contiguous(),) * 2
    y = torch.empty_like(x.flatten(2))  # (b, C, N)
    (w_q, b_q), (w_k, b_k) = _matrix(block.q), _matrix(block.k)
    (w_v, b_v), (w_out, b_out) = _matrix(block.v), _matrix(block.proj_out)
    ask = (w_k.T @ w_q).mul_(block.scale), (w_k.T @ b_q).mul_(block.scale) + 0 * b_k
    give = w_out @ w_v, w_out @ b_v + b_out
    whole = h.shape[1] * block.channels <= ELEMENTS_AT_ONCE
    step = h.shape[1] if whole else max(1, ELEMENTS_OF_A_SLICE // block.channels)
    for first in range(0, h.shape[1], step):
        some = slice(first, first + step)
        out = _affine(_attended(_affine(seen[:, some], *ask), seen, h), *give)
        y[:, :, some] = out.transpose(1, 2)
    y += x.flatten(2)
    return y.view_as(x)


def _matrix(layer: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """A 1×1 convolution's weight as a (C, C) matrix, and its bias."""
    assert layer.bias is not None
    return layer.weight.flatten(1), layer.bias


def _attended(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """softmax(queries · keysᵀ) · values without the map; all (b, …, C), as rows: the kernel takes no other.

    On a processor the kernel deals out blocks of 256 queries to the threads where there are 768 or more, and 784 would
    keep one of two threads at work almost twice as long as the other: as two heads each thread has its half.
    """
    batch, count, channels = queries.shape
    threads = torch.get_num_threads() if queries.device.type == "cpu" else 1
    uneven = count >= 3 * KERNEL_BLOCK and count % (threads * KERNEL_BLOCK) and count % threads == 0
    shares = threads if uneven else 1
    q = queries.reshape(batch, shares, count // shares, channels)
    k, v = (each[:, None].expand(-1, shares, -1, -1) for each in (keys, values))
    return F.scaled_dot_product_attention(q, k, v, scale=1.0).reshape(batch, count, channels)


def _affine(tokens: Tensor, weight: Tensor, bias: Tensor, scale: float = 1.0) -> Tensor:
    """(tokens · weightᵀ + bias) · scale, (b, N, C).

    One pass that takes tokens which are a transposed view as they are and writes rows: the fused attention kernel
    takes no other layout.
    """
    return torch.baddbmm(bias, tokens, weight.T.expand(len(tokens), -1, -1), beta=scale, alpha=scale)


def _to_tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)  # (b, C, h, w) → (b, N, C), a view
