"""One thread: small networks only get slower with more."""

import torch

torch.set_num_threads(1)
