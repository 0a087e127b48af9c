"""Answers that are the mean over an image and its mirror image."""

import torch
from torch import Tensor, nn


class MirrorMean(nn.Module):
    """Answers with the mean over each image and its mirror image, left to right.

    In training it answers to the image alone.

    Both go through in one batch, so that an exported network stands in its file once.

    Args:
        network: (N, C, H, W) to (N, K).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Turns (N, C, H, W) float32 into (N, K) float32."""
        if self.training:
            logits: Tensor = self.network(image)
            return logits
        both: Tensor = self.network(torch.cat([image, image.flip(3)]))
        return both.reshape(2, -1, both.shape[-1]).mean(0)
