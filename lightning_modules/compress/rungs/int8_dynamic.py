"""8-bit products whose activations are quantised by the range of the batch at hand.

So no range is fixed by training rows, and later values are not cut off; but the answer to a row
depends a little on the rows that are asked with it. Networks of matrix products and LSTMs gain,
convolutions do not: their dynamic kernels are slower than the floating ones.
"""

import onnx

from lightning_modules.compress.onnx_export import clear_provenance, serialize_model
from lightning_modules.compress.quantize import find_stacked, fold_network
from lightning_modules.compress.rungs.base import Material, NotMade, Rung
from lightning_modules.errors import ExportError

QUANTIZED = ("MatMul", "LSTM")
PRODUCTS = (*QUANTIZED, "Gemm")
DYNAMIC = ("MatMulInteger", "DynamicQuantizeLSTM")
"""What the quantiser makes of them."""


class Int8Dynamic(Rung):
    """The network with dynamic 8-bit products."""

    name = "int8_dynamic"

    def make(self, material: Material) -> bytes:
        """Returns the export with its products and LSTMs in 8 bits."""
        model = onnx.load_from_string(material.fp32)
        if not any(node.op_type in PRODUCTS for node in model.graph.node):
            raise NotMade("the network has neither products of matrices nor an LSTM")
        try:
            made = _quantize_dynamically(material.fp32)
        except Exception as error:
            raise ExportError(
                "network must be quantisable to dynamic 8 bits; got "
                f"{type(error).__name__}: {error}; leave {self.name} out of compress.candidates"
            ) from error
        if not any(node.op_type in DYNAMIC for node in made.graph.node):
            raise NotMade("none of the network's products has a matrix of weights to quantise")
        clear_provenance(made)
        return serialize_model(made)


def _quantize_dynamically(fp32: bytes) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with fold_network(fp32) as folded:
        target = folded.with_name("int8.onnx")
        quantize_dynamic(
            folded,
            target,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            # For the reason that static weights are of 7 bits, too.
            reduce_range=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=find_stacked(folded),
        )
        return onnx.load(target)
