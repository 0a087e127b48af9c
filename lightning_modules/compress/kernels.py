"""Finds the steps that kernels of 8 bits make faster; all others keep floating arithmetic.

A convolution of 8 bits looks up where each of its taps reads, at each place anew, which a floating
one need not. Of convolutions of 8 to 128 channels (`python -m benchmarks.ladder kernels`, on two
cores of an AMD EPYC with AVX2 and without VNNI, beside other load) those with 64 products a tap
took 2.2 times as long as floating ones, those with 256 eight to nine tenths of their time, those
with 16,384 a little more than half of it. No other processor was measured.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import GraphProto, ModelProto, NodeProto

EVEN = 256
"""Products a tap up to which a convolution of 8 bits is taken to save nothing: above the last that
was slower than a floating one (64), at the first that was a little faster."""
TOGETHER = 4
"""Channels that kernels of 8 bits read at once; of others each value is copied by itself."""
LAYERS = ("Conv", "Gemm", "MatMul")
POOLS = ("MaxPool", "AveragePool")


@dataclass(frozen=True)
class Step:
    """One step of a network.

    Attributes:
        name: Its own.
        takes: Names of what it takes.
        gives: Names of what it gives.
        weight: Shape of its weights: two axes of a product, more of a convolution, whose first two
            are its channels, given and taken; None where it is no layer.
        places: At how many of a sample it is computed.
        pools: Whether it takes the largest or the mean of neighbours.
    """

    name: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    weight: tuple[int, ...] | None = None
    places: int = 1
    pools: bool = False


def find_faster(model: ModelProto) -> set[str]:
    """Returns the names of the nodes that are worth 8 bits, layers or not; empty for none.

    All or none of `find_whole` are: each change between both arithmetics turns the values around.
    """
    steps = list_steps(model)
    found = find_whole(steps)
    return found if sum(_save(step) for step in steps if step.name in found) > 0 else set()


def find_whole(steps: Sequence[Step]) -> set[str]:
    """Returns the names of the steps that are computed in whole numbers where 8 bits pay.

    Those follow from the first layer with channels in fours. The last product stays floating, and
    what comes behind it, such as its bias: it costs next to nothing, and its answer is finer.

    Args:
        steps: Of a network, each behind those that it takes from.
    """
    first = _find_first(steps)
    begun = {steps[first].name} if first >= 0 else set()
    return _find_behind(steps, begun) - _find_behind(steps, _find_last(steps))


def _find_behind(steps: Sequence[Step], begun: set[str]) -> set[str]:
    """Returns the names of some steps, and of all that take from them."""
    given: set[str] = set()
    found: set[str] = set()
    for step in steps:
        if step.name in begun or given.intersection(step.takes):
            given.update(step.gives)
            found.add(step.name)
    return found


def _find_first(steps: Sequence[Step]) -> int:
    """Returns the place of the first layer that kernels of 8 bits read well; -1 for none.

    Where values are pooled before it, that is the first one at all: pooling whole numbers that a
    floating layer left in planes is as slow as several convolutions.
    """
    layers = [place for place, step in enumerate(steps) if step.weight is not None]
    fitting = [place for place in layers if _fits(steps[place].weight)]
    if not fitting or any(step.pools for step in steps[: fitting[0]]):
        return next(iter(layers), -1)
    return fitting[0]


def _fits(weight: tuple[int, ...] | None) -> bool:
    return weight is not None and (len(weight) == 2 or weight[1] % TOGETHER == 0)


def _save(step: Step) -> int:
    """Returns what 8 bits save of a step, in products; negative where they cost."""
    if step.weight is None:
        return 0
    given, taken, *taps = step.weight
    return step.places * math.prod(taps) * (given * taken - (EVEN if taps else 0))


def _find_last(steps: Sequence[Step]) -> set[str]:
    """Returns the names of the products that no layer follows."""
    leading: set[str] = set()
    found: set[str] = set()
    for step in reversed(steps):
        leads = bool(leading.intersection(step.gives))
        if step.weight is not None and len(step.weight) == 2 and not leads:
            found.add(step.name)
        if leads or step.weight is not None:
            leading.update(step.takes)
    return found


def list_steps(model: ModelProto) -> list[Step]:
    """Returns the steps of an ONNX model, named as its nodes are."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    shapes = {
        value.name: [each.dim_value or 1 for each in value.type.tensor_type.shape.dim]
        for value in graph.value_info
    }
    return [
        Step(
            node.name,
            tuple(node.input),
            tuple(node.output),
            weight := _find_weight(node, weights),
            _count_places(shapes.get(node.output[0], []), weight),
            node.op_type in POOLS,
        )
        for node in graph.node
    ]


def _count_places(shape: Sequence[int], weight: tuple[int, ...] | None) -> int:
    """Returns at how many places a step gives a value of each channel; these come last of products.

    Args:
        shape: Of what it gives, rows first.
        weight: Shape of its weights.
    """
    is_product = weight is not None and len(weight) == 2
    return math.prod(shape[1:-1] if is_product else shape[2:])


def _find_weight(node: NodeProto, weights: dict[str, tuple[int, ...]]) -> tuple[int, ...] | None:
    """Returns the shape of a layer's weights; None of several products at once."""
    found = weights.get(node.input[1]) if node.op_type in LAYERS else None
    several = found is not None and node.op_type != "Conv" and len(found) != 2
    return None if several else found


def find_gates(graph: GraphProto) -> set[str]:
    """Returns the names of the steps of all x * sigmoid(x) (SiLU), which have kernels of 8 bits."""
    shut = {node.output[0]: node for node in graph.node if node.op_type == "Sigmoid"}
    found: set[str] = set()
    for node in graph.node:
        if node.op_type != "Mul":
            continue
        for gate, value in (node.input, [*node.input][::-1]):
            if gate in shut and shut[gate].input[0] == value:
                found |= {node.name, shut[gate].name}
    return found
