"""float32, as the network was trained."""

from lightning_modules.compress.rungs.base import Material, Rung


class Fp32(Rung):
    """The network itself."""

    name = "fp32"

    def make(self, material: Material) -> bytes:
        """Returns the export."""
        return material.fp32
