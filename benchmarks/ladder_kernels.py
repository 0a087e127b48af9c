"""How much faster convolutions of 8 bits are than floating ones, by their channels alone.

A convolution's time is that of a chain of eight less that of a chain of two, over six: so what a
call and its ends cost drops out.
"""

import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_static

from lightning_modules.compress.quantize import CalibrationRows, static_settings

SHAPES = ((8, 14), (16, 14), (32, 14), (64, 14), (128, 14), (16, 7), (64, 7))
"""Channels and edge of what is convolved, 3x3."""
ROUNDS, SHORT, LONG = 200, 2, 8


def print_kernels() -> None:
    """Prints a table: microseconds of processor time of one convolution, and their ratio."""
    logging.getLogger().setLevel(logging.ERROR)  # The quantiser's advice is for whole networks.
    print("\n| channels | edge | products a tap | float, us | 8 bits, us | faster |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for channels, edge in SHAPES:
        floating, whole = time_convolution(channels, edge)
        row = channels, edge, channels**2, f"{floating:.1f}", f"{whole:.1f}"
        print("| " + " | ".join(map(str, (*row, f"{floating / whole:.2f}"))) + " |", flush=True)


def time_convolution(channels: int, edge: int) -> tuple[float, float]:
    """Returns the microseconds of one convolution, floating and of 8 bits."""
    draw = np.random.default_rng(0)
    rows = np.abs(draw.normal(size=(1, channels, edge, edge))).astype(np.float32)
    sessions = {}
    for length in (SHORT, LONG):
        for kind, content in enumerate(build_pair(channels, edge, length, rows)):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.log_severity_level = 1, 3
            sessions[kind, length] = onnxruntime.InferenceSession(content, options)
    taken: dict[tuple[int, int], list[float]] = {key: [] for key in sessions}
    for _ in range(ROUNDS):
        for key, session in sessions.items():
            started = time.thread_time()
            session.run(None, {"x": rows})
            taken[key].append(time.thread_time() - started)
    typical = {key: 1e6 * float(np.quantile(each, 0.1)) for key, each in taken.items()}
    floating, whole = (
        (typical[kind, LONG] - typical[kind, SHORT]) / (LONG - SHORT) for kind in (0, 1)
    )
    return floating, whole


def build_pair(channels: int, edge: int, length: int, rows: np.ndarray) -> tuple[bytes, bytes]:
    """Returns a chain of convolutions, floating and of 8 bits."""
    model = build_chain(channels, edge, length)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, source)
        quantize_static(source, target, CalibrationRows(rows, "x"), **static_settings())
        return source.read_bytes(), target.read_bytes()


def build_chain(channels: int, edge: int, length: int) -> ModelProto:
    """Returns convolutions with ReLU in a row."""
    draw = np.random.default_rng(1)
    nodes, held, last = [], [], "x"
    for place in range(length):
        weight = draw.normal(size=(channels, channels, 3, 3), scale=(4.5 * channels) ** -0.5)
        held.append(numpy_helper.from_array(weight.astype(np.float32), f"w{place}"))
        pads = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        named = f"c{place}"
        nodes.append(helper.make_node("Conv", [last, f"w{place}"], [named], name=named, **pads))
        last = f"r{place}"
        nodes.append(helper.make_node("Relu", [named], [last], name=last))
    shape = [1, channels, edge, edge]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", last)]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
