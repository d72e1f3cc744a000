"""An AttnBlock's weights from a safetensors file that somebody brings: checked before anything is read."""

import struct
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

# Headers of real checkpoints stay far below this; reading one costs several times its size.
MAX_HEADER_BYTES = 8 * 2**20
_BLOCK_KEYS = tuple(f"{layer}.{kind}" for layer in ("norm", "q", "k", "v", "proj_out") for kind in ("weight", "bias"))


class WeightsError(ValueError):
    """A weights file that cannot be used; the message is one sentence for the person who brought it."""


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
                    raise WeightsError(f"{path.name}: expected {prefix}{key} of shape {expected}, got {shape}.")
                tensor = file.get_tensor(prefix + key)
                if not tensor.is_floating_point():
                    raise WeightsError(
                        f"{path.name}: expected floating-point numbers in {prefix}{key}, got {tensor.dtype}."
                    )
                weights[key] = tensor.float()
    except WeightsError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path.name} is not a readable safetensors file, or it is damaged.") from error
    for key, tensor in weights.items():
        if not tensor.isfinite().all():
            raise WeightsError(f"{path.name}: {prefix}{key} holds NaN or infinite values.")
    return weights, prefix.removesuffix(".")


def _check_header(path: Path) -> None:
    """Refuses what cannot be a safetensors file by its first eight bytes, the length of its header."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(9)
    except (OSError, ValueError) as error:
        raise WeightsError(f"The weights file {path.name} cannot be opened.") from error
    if len(start) < 9 or start[8:] != b"{":
        raise WeightsError(
            f"{path.name} is not a safetensors file; other formats are not read, because they can run code."
        )
    (header,) = struct.unpack("<Q", start[:8])
    if header > min(size - 8, MAX_HEADER_BYTES):
        raise WeightsError(f"{path.name} is damaged or cut short: it claims a header of {header} bytes.")


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
        raise WeightsError("The file has no block with norm, q, k, v and proj_out, each with weight and bias.")
    fitting = [prefix for prefix, count in blocks.items() if count == channels]
    if len(fitting) != 1:
        listed = [f"{prefix.removesuffix('.') or 'unnamed'} ({count})" for prefix, count in blocks.items()]
        more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
        raise WeightsError(
            f"Expected exactly one block of {channels} channels, the file has {len(fitting)}: "
            f"{', '.join(listed[:8])}{more}."
        )
    return fitting[0]
