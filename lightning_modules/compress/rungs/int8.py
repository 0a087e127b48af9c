"""8-bit weights, and of pixels 8-bit activations, whose ranges training rows fix."""

from typing import get_args

from lightning_modules.compress.quantize import calibrates, quantize_int8
from lightning_modules.compress.rungs.base import Material, NotMade, Rung
from lightning_modules.errors import ExportError
from lightning_modules.specs.compress import Method


class Int8(Rung):
    """The network of another artifact, in 8 bits."""

    name = "int8"

    def make(self, material: Material) -> bytes:
        """Returns the network in 8 bits."""
        return make_int8(material)


def make_int8(material: Material) -> bytes:
    """Returns a network in 8 bits, calibrated as its recipe says.

    Of several ways the one is taken that answers the validation rows best, by the loss where their
    truth is known, else by how near the answers are to the network's; the first of equal ones.

    Raises:
        NotMade: It has no weights.
        ExportError: The quantiser refused it, each way.
    """
    fp32, rows, method = material.fp32, material.calibration, material.spec.calibration
    if method != "auto" or not calibrates(fp32, rows):
        content = quantize_int8(fp32, rows, "min_max" if method == "auto" else method)
        if content is None:
            raise NotMade("the network has no weights")
        return content
    made: list[bytes] = []
    refused: ExportError | None = None
    for each in get_args(Method):
        try:
            made += filter(None, [quantize_int8(fp32, rows, each)])
        except ExportError as error:
            refused = error
    if not made:
        raise refused or NotMade("the network has no weights")
    return min(made, key=material.measure_loss)
