"""What is computed in whole numbers: what is faster so, and nothing else."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import fx

from lightning_modules.compress.kernels import find_faster, list_steps
from lightning_modules.compress.onnx_export import run_onnx
from lightning_modules.compress.quantize import calibrates, quantize_int8
from lightning_modules.compress.rungs.int8_aware import find_rounded, melt_norms
from lightning_modules.networks.cnn import CNN

EDGE = 8
Node = onnx.NodeProto


class Graph:
    """A network for pixels, layer by layer."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(0)
        self.held: list[TensorProto] = []
        self.nodes: list[Node] = []
        self.last = self.add("Cast", ["image"], to=TensorProto.FLOAT)
        self.held.append(numpy_helper.from_array(np.float32(1 / 8), "gain"))
        self.last = self.add("Mul", [self.last, "gain"])

    def add(self, operator: str, takes: list[str], **attributes: Any) -> str:
        name = f"{operator}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, takes, [name], name=name, **attributes))
        self.last = name
        return name

    def weigh(self, *shape: int) -> str:
        name = f"weight{len(self.held)}"
        values = self.draw.normal(size=shape, scale=1 / np.sqrt(np.prod(shape[1:])))
        self.held.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def convolve(self, taken: int, given: int) -> str:
        pads = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        return self.add("Conv", [self.last, self.weigh(given, taken, 3, 3)], **pads)

    def activate(self) -> str:
        shut, value = self.add("Sigmoid", [self.last]), self.nodes[-1].input[0]
        return self.add("Mul", [value, shut])

    def answer(self, taken: int) -> str:
        self.add("GlobalAveragePool", [self.last])
        self.add("Flatten", [self.last])
        return self.add("MatMul", [self.last, self.weigh(taken, 10)])

    def build(self) -> bytes:
        inputs = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 1, EDGE, EDGE])
        self.nodes[-1].output[0] = "answer"
        output = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["N", 10])
        graph = helper.make_graph(self.nodes, "made", [inputs], [output], self.held)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        return bytes(made.SerializeToString())


def draw_rows(count: int = 32) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 17, (count, 1, EDGE, EDGE)).astype(np.uint8)


def build_network(*widths: int, gates: bool = False) -> bytes:
    graph = Graph()
    for taken, given in zip((1, *widths), widths, strict=False):
        graph.convolve(taken, given)
        _ = graph.activate() if gates else graph.add("Relu", [graph.last])
    graph.answer(widths[-1])
    return graph.build()


def count(content: bytes) -> dict[str, int]:
    operators = [node.op_type for node in onnx.load_from_string(content).graph.node]
    return {name: operators.count(name) for name in operators}


def test_the_first_layer_of_few_channels_and_the_last_product_stay_floating() -> None:
    fp32 = build_network(16, 32, 32)
    found = find_faster(onnx.load_from_string(fp32))
    assert {name for name in found if name.startswith("Conv")} == {"Conv4", "Conv6"}
    assert not any(name.startswith(("MatMul", "Mul", "Cast")) for name in found)
    int8 = quantize_int8(fp32, draw_rows())
    assert int8 is not None
    # Each of both keeps weights of 8 bits, which are restored once.
    held = onnx.load_from_string(int8).graph.initializer
    floats = [np.prod(each.dims) for each in held if each.data_type == TensorProto.FLOAT]
    assert max(floats) <= 32
    assert count(int8)["Cast"] == 1 + 2
    answers = [run_onnx(content, draw_rows(64))[0] for content in (fp32, int8)]
    assert np.abs(answers[0] - answers[1]).max() < 0.05 * np.abs(answers[0]).max()


def test_a_network_of_few_channels_is_faster_in_floating_arithmetic_and_stays_so() -> None:
    fp32 = build_network(8, 8, 16)
    assert not calibrates(fp32, draw_rows())
    int8 = quantize_int8(fp32, draw_rows())
    assert int8 is not None
    assert "QuantizeLinear" not in count(int8)
    assert len(int8) < len(fp32) / 2


@pytest.mark.parametrize(("edge", "faster"), [(2, True), (64, False)])
def test_what_narrow_layers_cost_at_all_their_places_is_weighed_against_what_a_wide_one_saves(
    edge: int, faster: bool
) -> None:
    graph = Graph()
    graph.convolve(1, 8)
    graph.convolve(8, 8)
    graph.add("GlobalAveragePool", [graph.last])
    graph.convolve(8, 256)
    graph.answer(256)
    model = onnx.load_from_string(graph.build())
    for size in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        size.dim_value = edge
    assert bool(find_faster(model)) == faster


def test_pixels_that_are_pooled_before_the_second_layer_are_whole_numbers_from_the_first() -> None:
    graph = Graph()
    graph.convolve(1, 16)
    graph.add("MaxPool", [graph.last], kernel_shape=[2, 2], strides=[2, 2])
    graph.convolve(16, 128)
    graph.answer(128)
    assert {"Conv2", "MaxPool3", "Conv4"} <= find_faster(onnx.load_from_string(graph.build()))


def test_gates_are_whole_numbers_and_the_head_s_factors_are_not() -> None:
    plain, gated = (
        quantize_int8(build_network(16, 32, 32, gates=gates), draw_rows())
        for gates in (False, True)
    )
    assert plain is not None
    assert gated is not None
    # Two gates behind the first layer: what each sigmoid and each product gives is quantised.
    assert count(gated)["QuantizeLinear"] == count(plain)["QuantizeLinear"] + 2 * 2
    fp32 = build_network(16, 32, 32, gates=True)
    answers = [run_onnx(content, draw_rows(64))[0] for content in (fp32, gated)]
    assert np.abs(answers[0] - answers[1]).max() < 0.05 * np.abs(answers[0]).max()


def test_what_training_rounds_is_what_the_artifact_computes_in_whole_numbers() -> None:
    network = CNN(input_shape=(1, 8, 8), outputs=10, widths=(16, 32)).eval()
    rounded = find_rounded(melt_norms(fx.symbolic_trace(network)))
    convolutions = [
        name for name, part in network.named_modules() if isinstance(part, torch.nn.Conv2d)
    ]
    assert rounded == convolutions[1:]


def test_products_are_computed_at_each_place_and_convolutions_at_each_pixel() -> None:
    graph = Graph()
    graph.convolve(1, 8)
    graph.add("Transpose", [graph.last], perm=[0, 2, 3, 1])
    graph.add("MatMul", [graph.last, graph.weigh(8, 32)])
    graph.add("Transpose", [graph.last], perm=[0, 3, 1, 2])
    graph.answer(32)
    steps = list_steps(onnx.load_from_string(graph.build()))
    places = [step.places for step in steps if step.weight is not None]
    assert places == [EDGE * EDGE, EDGE * EDGE, 1]


def test_what_is_added_to_the_last_product_stays_floating_as_that_does() -> None:
    graph = Graph()
    graph.convolve(1, 16)
    graph.convolve(16, 128)
    product = graph.answer(128)
    graph.add("Add", [product, graph.weigh(10)])
    found = find_faster(onnx.load_from_string(graph.build()))
    assert "Conv3" in found
    assert not [name for name in found if name.startswith(("MatMul", "Add"))]
