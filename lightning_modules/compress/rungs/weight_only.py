"""Weights of few bits with floating arithmetic: small files, nothing lost to ranges."""

import onnx

from lightning_modules.compress.onnx_export import serialize_model
from lightning_modules.compress.rungs.base import Material, NotMade, Rung
from lightning_modules.compress.weights import quantize_weights
from lightning_modules.compress.weights_int4 import quantize_products


class Int8Weights(Rung):
    """The network with 8-bit weights, a scale a channel."""

    name = "int8_weights"

    def make(self, material: Material) -> bytes:
        """Returns the export with its weights in 8 bits."""
        model = onnx.load_from_string(material.fp32)
        if not quantize_weights(model):
            raise NotMade("the network has no weights")
        return serialize_model(model)


class Int4Weights(Rung):
    """The network with 4-bit weights of its products, a scale a block; 8 bits elsewhere."""

    name = "int4_weights"

    def make(self, material: Material) -> bytes:
        """Returns the export with its products' weights in 4 bits."""
        model = onnx.load_from_string(material.fp32)
        if not quantize_products(model):
            raise NotMade("the network has no products of matrices of whole blocks of 16 rows")
        quantize_weights(model)
        return serialize_model(model)
