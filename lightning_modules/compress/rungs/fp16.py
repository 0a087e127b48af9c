"""Weights of 16 bits.

The arithmetic stays in float32: onnxruntime has next to no kernels of 16 bits for processors, and
converts around each of the others, which costs time. Weights are converted once, when it loads.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lightning_modules.compress.onnx_export import serialize_model
from lightning_modules.compress.rungs.base import Material, NotMade, Rung
from lightning_modules.compress.weights import LEAST_NUMBERS, find_weights


class Fp16(Rung):
    """The network with weights rounded to half precision."""

    name = "fp16"

    def make(self, material: Material) -> bytes:
        """Returns the export with its weights halved."""
        model = onnx.load_from_string(material.fp32)
        if not halve_weights(model):
            raise NotMade("the network has no weights that half precision holds")
        return serialize_model(model)


def halve_weights(model: onnx.ModelProto) -> int:
    """Stores the weights of a network as float16; it is changed.

    One that lies beyond what float16 holds stays as it is.

    Returns:
        How many numbers are stored so.
    """
    graph = model.graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    restored, numbers = [], 0
    for name in dict.fromkeys(name for name, _ in find_weights(graph.node)):
        tensor = held.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT:
            continue
        weight = numpy_helper.to_array(tensor)
        if weight.size < LEAST_NUMBERS or np.abs(weight).max() > np.finfo(np.float16).max:
            continue
        numbers += weight.size
        half = f"{name}_half"
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(weight.astype(np.float16), half))
        restored.append(
            helper.make_node("Cast", [half], [name], name=f"{name}_restored", to=TensorProto.FLOAT)
        )
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*restored, *others])
    return numbers
