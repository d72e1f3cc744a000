"""An AttnBlock's weights from a safetensors file that somebody brings: checked before anything is read."""

import struct
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from attn.errors import PlainError

# Headers of real checkpoints stay far below this; reading one costs several times its size.
MAX_HEADER_BYTES = 8 * 2**20
_BLOCK_KEYS = tuple(f"{layer}.{kind}" for layer in ("norm", "q", "k", "v", "proj_out") for kind in ("weight", "bias"))


class WeightsError(PlainError, ValueError):
    """A weights file that cannot be used."""


def read_block(path: Path, channels: int) -> tuple[dict[str, Tensor], str]:
    """The ten tensors of the one block of `channels` channels in a safetensors file, as float32, and its name there.

    Shapes are compared before a tensor is read, so a wrong file costs no memory.
    """
    _check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            prefix = _find_block(file, channels)
            weights = {}
            for key in _BLOCK_KEYS:
                shape = tuple(file.get_slice(prefix + key).get_shape())
                expected = (channels,) if key.endswith("bias") or key.startswith("norm") else (channels, channels, 1, 1)
                if shape != expected:
                    raise WeightsError(
                        "reasons.weights.shape", name=path.name, tensor=prefix + key, expected=expected, shape=shape
                    )
                tensor = file.get_tensor(prefix + key)
                if not tensor.is_floating_point():
                    raise WeightsError("reasons.weights.dtype", name=path.name, tensor=prefix + key, dtype=tensor.dtype)
                weights[key] = tensor.float()
    except WeightsError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise WeightsError("reasons.weights.damaged", name=path.name) from error
    for key, tensor in weights.items():
        if not tensor.isfinite().all():
            raise WeightsError("reasons.weights.nan", name=path.name, tensor=prefix + key)
    return weights, prefix.removesuffix(".")


def _check_header(path: Path) -> None:
    """Refuses what cannot be a safetensors file by its first eight bytes, the length of its header."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(9)
    except (OSError, ValueError) as error:
        raise WeightsError("reasons.weights.closed", name=path.name) from error
    if len(start) < 9 or start[8:] != b"{":
        raise WeightsError("reasons.weights.format", name=path.name)
    (header,) = struct.unpack("<Q", start[:8])
    if header > min(size - 8, MAX_HEADER_BYTES):
        raise WeightsError("reasons.weights.header", name=path.name, bytes=header)


def _find_block(file: Any, channels: int) -> str:
    """The prefix of the only block with this many channels."""
    names = set(file.keys())
    prefixes = [
        name.removesuffix("q.weight") for name in sorted(names) if name == "q.weight" or name.endswith(".q.weight")
    ]
    blocks = {
        prefix: (file.get_slice(prefix + "q.weight").get_shape() or [0])[0]
        for prefix in prefixes
        if names.issuperset(prefix + key for key in _BLOCK_KEYS)
    }
    if not blocks:
        raise WeightsError("reasons.weights.no_block")
    fitting = [prefix for prefix, count in blocks.items() if count == channels]
    if len(fitting) != 1:
        listed = [f"{prefix.removesuffix('.') or 'unnamed'} ({count})" for prefix, count in blocks.items()]
        more = f", … + {len(listed) - 8}" if len(listed) > 8 else ""
        shown = ", ".join(listed[:8]) + more
        raise WeightsError("reasons.weights.blocks", channels=channels, count=len(fitting), blocks=shown)
    return fitting[0]
