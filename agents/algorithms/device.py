"""Where torch computes: the device, and the settings of the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from attention_agents.agents.config.run_config import DEVICES
from attention_agents.agents.config.validation import check_choice, first_line


def check_device(device: str) -> None:
    """Refuse a device that is unknown or not there, where SB3 would quietly take the CPU.

    Raises:
        ValueError: it is neither auto nor one of torch's that this machine has.
    """
    name = check_choice("device", device.partition(":")[0], DEVICES)
    if (name == "cuda" and not torch.cuda.is_available()) or (
        name == "mps" and not torch.backends.mps.is_available()
    ):
        raise ValueError(f"torch finds no {name} device; use --device cpu")
    try:
        if device != "auto":
            torch.empty(0, device=device)
    except RuntimeError as error:
        raise ValueError(
            f"there is no device {device!r}: {first_line(error)}; use --device cpu"
        ) from error


@contextmanager
def torch_settings(threads: int) -> Iterator[None]:
    """Use so many threads, and no checks of every distribution; restore both at the end."""
    distribution = torch.distributions.Distribution
    before = torch.get_num_threads(), distribution._validate_args
    torch.set_num_threads(threads)
    distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        distribution.set_default_validate_args(before[1])
