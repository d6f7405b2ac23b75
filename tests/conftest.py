"""Annotated shapes are checked at run time in every test; training does not pay for it."""

import torch
from jaxtyping import install_import_hook

install_import_hook(["policies"], "beartype.beartype")
torch.set_num_threads(1)  # small networks only get slower with more
