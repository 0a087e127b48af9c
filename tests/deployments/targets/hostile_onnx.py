"""Hostile ONNX files, each with a valid frame around what is wrong with it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.deployments.targets.hostile import PICKLE
from tests.deployments.targets.material import make_onnx

MODEL = make_onnx(1)
FILES: dict[str, bytes] = {}


def hostile(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """Files what a function makes under its name."""
    FILES[f"{make.__name__}.onnx"] = make()
    return make


def change(alter: Callable[[ModelProto], object]) -> bytes:
    """The honest model, changed."""
    model = onnx.load_from_string(MODEL)
    alter(model)
    return bytes(model.SerializeToString())


def weights_of(model: ModelProto) -> TensorProto:
    return model.graph.initializer[0]


def put_first(model: ModelProto, *nodes: NodeProto, **constants: Any) -> None:
    """Puts nodes before the others, and integer constants for them."""
    for name, values in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(values), name))
    kept = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *kept])


def put_growing(operator: str, *inputs: str, constants: dict[str, Any], **attributes: Any) -> bytes:
    """The honest model that makes a giant besides, and answers with a trace of it."""

    def alter(model: ModelProto) -> None:
        grown = helper.make_node(operator, list(inputs), ["giant"], **attributes)
        least = helper.make_node("ReduceMin", ["giant"], ["least"], keepdims=0)
        real = helper.make_node("Cast", ["least"], ["trace"], to=TensorProto.FLOAT)
        put_first(model, grown, least, real, **constants)
        model.graph.node[3].output[0] = "plain"
        model.graph.node.insert(4, helper.make_node("Add", ["plain", "trace"], ["real"]))

    return change(alter)


def nest(depth: int, operator: str = "If") -> GraphProto:
    """Graphs inside of graphs."""
    inner = helper.make_graph([], "leaf", [], [])
    for number in range(depth):
        node = helper.make_node(
            operator, ["yes"], [f"out{number}"], then_branch=inner, else_branch=inner
        )
        inner = helper.make_graph([node], f"g{number}", [], [])
        if number > 8:
            inner.node[0].attribute.pop()  # Else it doubles each time.
    return inner


def tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def frame(number: int, content: bytes) -> bytes:
    return tag(number, 2) + varint(len(content)) + content


FILES |= {
    "empty.onnx": b"",
    "junk.onnx": b"\xff" * 1000,
    "truncated.onnx": MODEL[:-40],
    "pickle.onnx": PICKLE,
    "zip_with_names_that_climb.onnx": b"PK\x03\x04" + b"../../was-run" * 9,
    "number_that_never_ends.onnx": tag(1, 0) + b"\x80" * 10_000_000,
    "length_beyond_the_file.onnx": MODEL + tag(6, 2) + varint(2**62),
    "a_million_empty_fields.onnx": MODEL + frame(6, b"") * 1_500_000,
    "groups_in_groups.onnx": MODEL + tag(99, 3) * 200_000,
    "graphs_in_graphs_on_the_wire.onnx": b"",
    # Who keeps 32 bits of a tag reads a graph to train it.
    "tag_that_wraps_around.onnx": MODEL + varint((20 << 3 | 2) + 2**32) + varint(0),
}


def _wrap(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = frame(1, frame(5, frame(1, b"a") + frame(6, content)))
    return frame(7, content)


FILES["graphs_in_graphs_on_the_wire.onnx"] = _wrap(3_000)


@hostile
def external_data() -> bytes:
    def alter(model: ModelProto) -> None:
        weights = weights_of(model)
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        entry = weights.external_data.add()
        entry.key, entry.value = "location", "honest.bin"

    return change(alter)


@hostile
def external_data_of_the_system() -> bytes:
    def alter(model: ModelProto) -> None:
        entry = weights_of(model).external_data.add()
        entry.key, entry.value = "location", "/dev/zero"
        weights_of(model).data_location = TensorProto.EXTERNAL

    return change(alter)


@hostile
def external_data_in_a_constant() -> bytes:
    def alter(model: ModelProto) -> None:
        tensor = TensorProto(dims=[64, 10], data_type=1, name="w", data_location=1)
        tensor.external_data.add(key="location", value="../honest.bin")
        node = helper.make_node("Constant", [], ["weights"])
        node.attribute.append(onnx.AttributeProto(name="value", type=4, t=tensor))
        del model.graph.initializer[:]
        put_first(model, node)

    return change(alter)


@hostile
def operator_of_a_stranger() -> bytes:
    return change(lambda model: setattr(model.graph.node[0], "domain", "com.stranger"))


@hostile
def operators_of_a_stranger_imported() -> bytes:
    return change(
        lambda model: model.opset_import.append(helper.make_opsetid("ai.onnx.contrib", 1))
    )


def _functions(called: str) -> bytes:
    def alter(model: ModelProto) -> None:
        body = [helper.make_node(called, ["x"], ["y"], domain="" if called == "Relu" else "own")]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        model.functions.append(helper.make_function("own", "F", ["x"], ["y"], body, opsets))
        model.functions.append(helper.make_function("own", "G", ["x"], ["y"], body[:1], opsets))

    return change(alter)


@hostile
def functions() -> bytes:
    return _functions("Relu")


@hostile
def functions_that_call_each_other() -> bytes:
    return _functions("F")


@hostile
def training_graph() -> bytes:
    return change(lambda model: model.training_info.add())


@hostile
def two_graphs() -> bytes:
    return MODEL + frame(7, b"")


@hostile
def graphs_in_graphs() -> bytes:
    return change(lambda model: model.graph.node.extend(nest(20).node))


@hostile
def branch() -> bytes:
    return change(lambda model: model.graph.node.extend(nest(1).node))


def _loop(operator: str) -> bytes:
    def alter(model: ModelProto) -> None:
        yes = helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])
        count = helper.make_tensor_value_info("count", TensorProto.INT64, [])
        out = helper.make_tensor_value_info("still", TensorProto.BOOL, [])
        body = helper.make_graph(
            [helper.make_node("Identity", ["go_on"], ["still"])], "body", [count, yes], [out]
        )
        put_first(model, helper.make_node(operator, ["", "yes"], [], body=body), yes=True)

    return change(alter)


@hostile
def loop_without_end() -> bytes:
    return _loop("Loop")


@hostile
def scan() -> bytes:
    return _loop("Scan")


@hostile
def weights_of_absurd_shape() -> bytes:
    def alter(model: ModelProto) -> None:
        weights_of(model).dims[:] = [2**40, 2**20]
        weights_of(model).ClearField("raw_data")

    return change(alter)


@hostile
def weights_whose_size_wraps_around() -> bytes:
    def alter(model: ModelProto) -> None:
        weights_of(model).dims[:] = [2**32, 2**32]
        weights_of(model).raw_data = b""

    return change(alter)


@hostile
def weights_of_negative_shape() -> bytes:
    return change(lambda model: weights_of(model).dims.__setitem__(0, -64))


@hostile
def weights_of_too_few_bytes() -> bytes:
    return change(lambda model: setattr(weights_of(model), "raw_data", b"\0" * 64))


@hostile
def weights_of_many_axes() -> bytes:
    return change(lambda model: weights_of(model).dims.extend([1] * 100_000))


@hostile
def weights_given_twice() -> bytes:
    return change(lambda model: weights_of(model).float_data.extend([1.0] * 640))


@hostile
def weights_of_texts() -> bytes:
    def alter(model: ModelProto) -> None:
        texts = helper.make_tensor("texts", TensorProto.STRING, [2], [b"a", b"b" * 1000])
        model.graph.initializer.append(texts)

    return change(alter)


@hostile
def weights_of_complex_numbers() -> bytes:
    return change(lambda model: setattr(weights_of(model), "data_type", TensorProto.COMPLEX64))


@hostile
def sparse_weights_of_absurd_shape() -> bytes:
    def alter(model: ModelProto) -> None:
        values = numpy_helper.from_array(np.ones(1, np.float32), "giant")
        place = numpy_helper.from_array(np.zeros(1, np.int64))
        model.graph.sparse_initializer.append(
            helper.make_sparse_tensor(values, place, [2**20, 2**20])
        )

    return change(alter)


@hostile
def weights_that_are_no_numbers() -> bytes:
    nan = np.full((64, 10), np.nan, np.float32)
    return change(lambda model: weights_of(model).CopyFrom(numpy_helper.from_array(nan, "weights")))


SHAPE = {"shape": np.array([2**20, 2**12])}
ONE = {"one": np.ones((1, 1), np.float32)}
GROWING: dict[str, bytes] = {
    "constant_of_shape": put_growing("ConstantOfShape", "shape", constants=SHAPE),
    "expand": put_growing("Expand", "one", "shape", constants={**ONE, **SHAPE}),
    "tile": put_growing("Tile", "one", "shape", constants={**ONE, **SHAPE}),
    "range": put_growing(
        "Range", "a", "b", "c", constants={"a": np.int64(0), "b": np.int64(2**33), "c": np.int64(1)}
    ),
    "range_of_tiny_steps": put_growing(
        "Range",
        "a",
        "b",
        "c",
        constants={"a": np.float32(0), "b": np.float32(1), "c": np.float32(1e-10)},
    ),
    "one_hot": put_growing(
        "OneHot",
        "at",
        "depth",
        "pair",
        constants={
            "at": np.arange(64),
            "depth": np.array([2**28]),
            "pair": np.array([0, 1], np.float32),
        },
    ),
    "pad": put_growing(
        "Pad", "one", "wide", constants={**ONE, "wide": np.array([0, 0, 2**16, 2**16])}
    ),
    "random": put_growing("RandomNormal", constants={}, shape=[2**20, 2**12]),
    "resize": put_growing(
        "Resize",
        "cube",
        "",
        "scales",
        constants={
            "cube": np.ones((1, 1, 2, 2), np.float32),
            "scales": np.array([1, 1, 2**15, 2**15], np.float32),
        },
    ),
    "convolve": put_growing(
        "Conv",
        "cube",
        "kernel",
        constants={
            "cube": np.ones((1, 1, 2, 2), np.float32),
            "kernel": np.ones((1, 1, 1, 1), np.float32),
        },
        pads=[2**16] * 4,
    ),
}


def grow_by_steps(*nodes: NodeProto, **constants: Any) -> bytes:
    """The honest model that makes a giant by steps, none of which states how large it is."""

    def alter(model: ModelProto) -> None:
        least = helper.make_node("ReduceMin", [nodes[-1].output[0]], ["least"], keepdims=0)
        real = helper.make_node("Cast", ["least"], ["trace"], to=TensorProto.FLOAT)
        put_first(model, *nodes, least, real, **constants)
        place = len(model.graph.node) - len(onnx.load_from_string(MODEL).graph.node)
        model.graph.node[place].output[0] = "plain"
        model.graph.node.insert(place + 1, helper.make_node("Add", ["plain", "trace"], ["real"]))

    return change(alter)


def _chain(operator: str, count: int, *others: str) -> list[NodeProto]:
    return [
        helper.make_node(operator, [f"grown{n}", *(others or [f"grown{n}"])], [f"grown{n + 1}"])
        for n in range(count)
    ]


def _double(count: int) -> list[NodeProto]:
    nodes = _chain("Concat", count)
    for node in nodes:
        node.attribute.append(helper.make_attribute("axis", 0))
    return nodes


LINE = np.ones((2**17, 1), np.float32)
STEPS = {
    "tiles_of_tiles": grow_by_steps(
        *_chain("Tile", 3, "times"), grown0=np.ones((1,), np.float32), times=[2**10]
    ),
    "doubling": grow_by_steps(*_double(32), grown0=np.ones((4,), np.float32)),
    "an_outer_product": grow_by_steps(
        helper.make_node("MatMul", ["line", "across"], ["grown1"]), line=LINE, across=LINE.T
    ),
    "a_broadcast": grow_by_steps(
        helper.make_node("Add", ["line", "across"], ["grown1"]), line=LINE, across=LINE.T
    ),
    "a_computed_shape": grow_by_steps(
        helper.make_node("Concat", ["half", "half"], ["shape"], axis=0),
        helper.make_node("ConstantOfShape", ["shape"], ["grown1"]),
        half=np.array([2**16], np.int64),
    ),
}
"""Giants of which the file states only the steps."""
FILES |= {f"giant_by_{name}.onnx": data for name, data in STEPS.items()}
FILES |= {f"giant_made_by_{name}.onnx": data for name, data in GROWING.items()}
WIDE, ZERO = varint(2**16), b"\x80\x80\x00"
FILES["giant_whose_pads_are_two_lists.onnx"] = GROWING["convolve"].replace(
    (tag(8, 0) + WIDE) * 4, frame(8, WIDE * 3) + frame(8, ZERO)
)
"""Protocol Buffers join the lists of a field; as many bytes as before, so no length changes."""
FILES["giant_whose_pads_are_spelled_at_length.onnx"] = change(
    lambda model: model.graph.node.append(
        helper.make_node("Pad", ["image"], [""], pads=[0] * 200 + [2**40])
    )
)


@hostile
def giant_shape_in_a_constant_node() -> bytes:
    def alter(model: ModelProto) -> None:
        shape = helper.make_node("Constant", [], ["shape"], value_ints=[2**20, 2**12])
        put_first(model, shape, helper.make_node("ConstantOfShape", ["shape"], ["giant"]))

    return change(alter)


@hostile
def giant_scales_in_a_constant_node() -> bytes:
    def alter(model: ModelProto) -> None:
        cube = numpy_helper.from_array(np.ones((1, 1, 2, 2), np.float32), "cube")
        model.graph.initializer.append(cube)
        scales = helper.make_node(
            "Constant", [], ["scales"], value_floats=[1.0, 1.0, 2.0**15, 2.0**15]
        )
        put_first(model, scales, helper.make_node("Resize", ["cube", "", "scales"], ["giant"]))

    return change(alter)


@hostile
def input_of_absurd_shape() -> bytes:
    def alter(model: ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 2**50

    return change(alter)


@hostile
def input_that_is_a_list() -> bytes:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [1]))
    return change(lambda model: model.graph.input.append(helper.make_value_info("more", kind)))


@hostile
def input_of_texts() -> bytes:
    text = helper.make_tensor_value_info("more", TensorProto.STRING, [1])
    return change(lambda model: model.graph.input.append(text))


@hostile
def graph_that_needs_itself() -> bytes:
    return change(lambda model: model.graph.node[0].input.__setitem__(0, "logits"))


@hostile
def a_hundred_thousand_nodes() -> bytes:
    node = helper.make_node("Identity", ["image"], [""]).SerializeToString()
    return MODEL + frame(7, frame(1, node) * 100_000)
