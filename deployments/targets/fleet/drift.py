"""Digits that turn: small pictures of one channel, by an angle that grows round by round."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.targets.fleet.ledger import Sample

SCALE = 16
"""A digit is enlarged so many times before it is turned, so that turning blurs little."""


@dataclass(frozen=True)
class Round:
    """What a fleet is asked between two looks at what came back.

    Attributes:
        name: What is particular about it, such as "turned by 20°".
        samples: Each device's, in the order of the devices.
    """

    name: str
    samples: tuple[tuple[Sample, ...], ...]


def turn_picture(picture: NDArray[np.uint8], angle_deg: float, highest: int) -> bytes:
    """Return a picture turned counterclockwise about its middle, as a PNG file.

    Args:
        picture: (H, W) uint8 of 0 to `highest`; what is turned in from outside is 0.
        angle_deg: The angle in degrees.
        highest: The value that is white.
    """
    from PIL import Image

    height, width = picture.shape
    grey = np.rint(picture.astype(np.float64) * (255 / highest)).astype(np.uint8)
    image = Image.fromarray(grey)
    if angle_deg:
        large = image.resize((width * SCALE, height * SCALE), Image.Resampling.BICUBIC)
        turned = large.rotate(angle_deg, Image.Resampling.BICUBIC)
        image = turned.resize((width, height), Image.Resampling.BOX)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def plan_angles(rounds: int, farthest_deg: float) -> list[float]:
    """Return the angle of each round, and that of the closing one, which is the last one's again.

    Args:
        rounds: How many rounds end with a look at what came back; the closing one comes after.
        farthest_deg: The angle that the last of them reaches; the first is upright, unless it is
            the only one.
    """
    angles = (
        [farthest_deg * number / (rounds - 1) for number in range(rounds)] if rounds > 1 else []
    )
    return [*(angles or [farthest_deg]), farthest_deg]


def plan_rounds(
    pictures: NDArray[np.uint8],
    labels: Sequence[str],
    *,
    devices: int,
    angles: Sequence[float],
    highest: int,
) -> list[Round]:
    """Deals pictures out to rounds and devices; none is used twice.

    Args:
        pictures: (N, H, W) uint8 of 0 to `highest`.
        labels: The truth of each.
        devices: How many there are.
        angles: The angle of each round in degrees.
        highest: The value that is white.
    """
    each = len(pictures) // (devices * len(angles))
    rounds = []
    for number, angle in enumerate(angles):
        parts = []
        for device in range(devices):
            first = (number * devices + device) * each
            parts.append(
                tuple(
                    Sample(
                        body=turn_picture(pictures[place], angle, highest),
                        content_type="image/png",
                        truth=labels[place],
                        note=f"digit {place}",
                    )
                    for place in range(first, first + each)
                )
            )
        name = f"turned by {angle:.0f}°" if angle else "upright"
        rounds.append(Round(name, tuple(parts)))
    return rounds
