"""Noise on rows."""

import numpy as np
import torch

from lightning_modules.data.augment import JitterAugmentation
from lightning_modules.specs.augmentation import AugmentationSpec


def test_jitter_is_a_function_of_seed_epoch_and_row() -> None:
    spec, raw = AugmentationSpec(noise=0.1), torch.zeros(3, 4, 2, dtype=torch.float64)
    ids = np.array([1, 2, 3], np.uint64)
    noisy = JitterAugmentation(spec, 7, [10.0])(raw, ids, epoch=1)
    again = JitterAugmentation(spec, 7, [10.0])(raw[1:2], ids[1:2], epoch=1)
    assert torch.equal(noisy[1:2], again)
    assert noisy[..., 1].abs().max() == 0
    assert 0.2 < noisy[..., 0].std() < 3.0
    assert not torch.equal(noisy, JitterAugmentation(spec, 7, [10.0])(raw, ids, epoch=2))
