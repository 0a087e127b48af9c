"""Small networks: one thread computes them fastest, and leaves the other cores to whoever else is
at work.
"""

import os

# Before torch loads OpenMP: waiting threads sleep instead of spinning.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

torch.set_num_threads(1)
