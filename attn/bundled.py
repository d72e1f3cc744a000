"""The weight files kept in this repository, read only if they are the ones the manifest names."""

import hashlib
import json
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

WEIGHTS_DIR = Path(__file__).resolve().parent.parent / "assets" / "weights"
MANIFEST = "manifest.json"


class WeightsUnavailable(RuntimeError):  # noqa: N818 - says what happened, as StemUnavailable does
    """A bundled weight file cannot be used; the message is one sentence."""


class DamagedWeights(WeightsUnavailable):
    """A bundled weight file is there but is not the one the manifest names."""


def is_bundled(file: str) -> bool:
    """Whether there is such a file; not whether it is intact."""
    return (WEIGHTS_DIR / file).is_file()


def load_bundled(file: str) -> dict[str, Tensor]:
    """The tensors of `file` in `WEIGHTS_DIR`, as stored, after checking its SHA-256.

    Raises WeightsUnavailable where the file is missing, DamagedWeights where it is not what manifest.json says.
    """
    try:
        content = (WEIGHTS_DIR / file).read_bytes()
    except OSError as error:
        raise WeightsUnavailable(f"The bundled weights {file} are missing from {WEIGHTS_DIR.name}/.") from error
    try:
        expected = json.loads((WEIGHTS_DIR / MANIFEST).read_text())[file]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedWeights(f"{MANIFEST} has no SHA-256 for {file}: please restore {WEIGHTS_DIR.name}/.") from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise DamagedWeights(
            f"The bundled weights {file} are damaged (expected SHA-256 {str(expected)[:12]}…, got {actual[:12]}…): "
            "please restore them from the repository."
        )
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise DamagedWeights(f"The bundled weights {file} are not a safetensors file.") from error
