"""Weights of products of matrices as 4-bit integers with a scale for each 32 or 16 of them.

As DequantizeLinear by blocks (ONNX 21), which onnxruntime melts with the product into one that
reads 4-bit weights, where blocks are whole, and any other runtime can compute. Not melted it is
dequantised at each call, for many times the product's time: such a matrix is left as it is.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

BLOCKS = (32, 16)
LARGEST = 7
OPSET = 21
"""The first that knows integers of 4 bits and blocks."""


def quantize_products(model: onnx.ModelProto) -> int:
    """Stores the weights of a network's products as 4-bit integers; it is changed.

    Args:
        model: A network in floating point.

    Returns:
        How many numbers are stored so; 0: nothing was changed.
    """
    graph = model.graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    restored: dict[str, NodeProto] = {}
    numbers = 0
    for node in graph.node:
        weight = _find_weight(node, held)
        if weight is None:
            nodes.append(node)
            continue
        name = f"{node.input[1]}_columns" if _is_turned(node) else node.input[1]
        if name not in restored:
            numbers += weight.size
            restored[name] = _store_blocks(graph, name, weight)
        nodes += _multiply(node, name)
    if not numbers:
        return 0
    del graph.node[:]
    graph.node.extend([*restored.values(), *nodes])
    used = {name for node in graph.node for name in node.input} - {*restored}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for entry in model.opset_import:
        if not entry.domain:
            entry.version = max(entry.version, OPSET)
    return numbers


def _find_weight(node: NodeProto, held: dict[str, TensorProto]) -> NDArray[np.float32] | None:
    """Returns the matrix (K, N) that a node multiplies by, if it can be stored so."""
    if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in held:
        return None
    scales = {entry.name: entry for entry in node.attribute}
    plain = all(scales[name].f == 1 for name in ("alpha", "beta") if name in scales)
    if not plain or ("transA" in scales and scales["transA"].i):
        return None
    tensor = held[node.input[1]]
    if len(tensor.dims) != 2 or tensor.data_type != TensorProto.FLOAT:
        return None
    weight: NDArray[np.float32] = numpy_helper.to_array(tensor)
    weight = weight.T if _is_turned(node) else weight
    return weight if find_block(weight) else None


def find_block(weight: NDArray[np.float32]) -> int:
    """Returns the largest block that a matrix (K, N) is made of, in rows; 0 for none."""
    return next((block for block in BLOCKS if len(weight) % block == 0), 0)


def _is_turned(node: NodeProto) -> bool:
    return any(entry.name == "transB" and entry.i for entry in node.attribute)


def _store_blocks(graph: onnx.GraphProto, name: str, weight: NDArray[np.float32]) -> NodeProto:
    """Adds the integers and scales of a matrix (K, N), and returns the node that restores it."""
    whole, scale = quantize_blocks(weight)
    named = f"{name}_int4", f"{name}_int4_scale"
    packed = ((whole[1::2] << 4) | (whole[0::2] & 15)).astype(np.uint8)
    tensor = helper.make_tensor(
        named[0], TensorProto.INT4, weight.shape, packed.tobytes(), raw=True
    )
    graph.initializer.extend([tensor, numpy_helper.from_array(scale, named[1])])
    return helper.make_node(
        "DequantizeLinear",
        list(named),
        [name],
        name=f"{name}_restored",
        axis=0,
        block_size=find_block(weight),
    )


def quantize_blocks(
    weight: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Returns a matrix (K, N) as integers from -7 to 7, flat, and the scale of each block.

    Args:
        weight: Its columns are cut into whole blocks, of B = `find_block` numbers each.

    Returns:
        (K * N,) integers, row by row, and (K / B, N) scales.
    """
    blocks = weight.reshape(-1, find_block(weight), weight.shape[1])
    scale = np.maximum(np.abs(blocks).max(1) / LARGEST, np.finfo(np.float32).tiny)
    scale = scale.astype(np.float32)
    whole = np.clip(np.rint(blocks / scale[:, None]), -LARGEST, LARGEST).astype(np.int8)
    return whole.reshape(-1), scale


def _multiply(node: NodeProto, weight: str) -> list[NodeProto]:
    """Returns the nodes that multiply by a restored matrix as a node did."""
    if node.op_type == "MatMul":
        kept = NodeProto()
        kept.CopyFrom(node)
        kept.input[1] = weight
        return [kept]
    biased = len(node.input) > 2 and node.input[2]
    between = f"{node.output[0]}_product" if biased else node.output[0]
    product = helper.make_node(
        "MatMul", [node.input[0], weight], [between], name=f"{node.name}_product"
    )
    if not biased:
        return [product]
    add = helper.make_node("Add", [between, node.input[2]], list(node.output), name=node.name)
    return [product, add]
