"""Where tensors live: on the accelerator of this machine, or on its processor."""

import os

import torch


def best_device() -> torch.device:
    """CUDA where there is a GPU, else Apple's (MPS), else the processor.

    The processor, too, on a Space with ZeroGPU: it lends its GPU only to functions that ask for it, and the page needs
    none. Nothing is asked of CUDA before this is called.
    """
    if os.environ.get("SPACES_ZERO_GPU"):
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def wait_for(device: torch.device) -> None:
    """Return when everything asked of the device is done: an accelerator answers before it has computed."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
