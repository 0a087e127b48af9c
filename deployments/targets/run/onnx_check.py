"""What an ONNX file may hold, asked before onnxruntime parses it.

An exported network is a flat graph of numbers: it needs no file beside it, no code of anybody's
own, no loops, no texts. Whatever has them is refused by name, however it is signed, and whatever
claims to be larger than its bytes is refused before anything of that size is made. Field numbers
are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from deployments.targets.run.onnx_tensors import check_tensor, check_type
from deployments.targets.run.onnx_wire import BYTES, FIXED32, VARINT, Field, Wire, refuse

DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Whose operators may stand in a graph: all of them are onnxruntime's own."""
MOST_NODES: Final = 2**14
MOST_ELEMENTS: Final = 2**24
"""Most numbers of an array that the file states without giving them."""
MOST_STRETCH: Final = 2**12
"""Most that an operator may lay around an array, or stretch it by, along one axis."""

_SHAPES: Final = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1, "Resize": 3, "OneHot": 1}
"""Operators -> which of their inputs says how many numbers come out."""
_STRETCHES: Final = {"Resize": 2, "Upsample": 1, "Pad": 1}
"""Operators -> which of their inputs says how much wider an array gets."""
_WIDENING: Final = frozenset({"pads", "output_padding", "strides", "dilations", "scales"})
_GROWING: Final = _WIDENING | {"shape"}
"""Attributes that say how large something gets: short lists in any honest file."""
_RUNS: Final = frozenset({7 << 3 | FIXED32, 8 << 3 | VARINT, 9 << 3 | BYTES})
"""Lists of an attribute: real numbers, whole ones, texts."""
_MOST_LIST_BYTES: Final = 256
Numbers = Sequence[float]


def check_onnx(data: bytes) -> None:
    """Checks that a file holds a flat graph of numbers and of known operators, and nothing else.

    Raises:
        BadArtifact: It holds something else, or claims to be larger than it is.
    """
    wire = Wire(data)
    graphs = 0
    for part in wire.read_fields(0, len(data)):
        if part.number == 7:
            graphs += 1
            _check_graph(wire, part)
        elif part.number == 8:
            _check_opset(wire, part)
        elif part.number == 20:
            raise refuse("one graph", "a second one, to train it")
        elif part.number == 25:
            raise refuse("known operators alone", "functions of its own")
    if graphs != 1:
        raise refuse("one graph", str(graphs))


@dataclass
class _Node:
    """What is looked at of a node once all constants of its graph are known."""

    operator: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    numbers: dict[str, Numbers] = field(default_factory=dict)


def _check_graph(wire: Wire, place: Field) -> None:
    constants: dict[str, Numbers] = {}
    nodes: list[_Node] = []
    for part in wire.read_fields(place.start, place.end):
        if part.number == 1:
            nodes.append(_check_node(wire, part))
        elif part.number == 5:
            tensor = check_tensor(wire, part)
            if tensor.numbers is not None:
                constants[tensor.name] = tensor.numbers
        elif part.number in (11, 12, 13):
            _check_value(wire, part)
        elif part.number == 15:
            raise refuse("arrays that are given in full", "a sparse one")
        if len(nodes) > MOST_NODES:
            raise refuse(f"at most {MOST_NODES} nodes", "more")
    for node in nodes:
        if node.operator == "Constant" and node.outputs:
            constants.update((node.outputs[0], numbers) for numbers in node.numbers.values())
    for node in nodes:
        _check_growth(node, constants)


def _check_value(wire: Wire, place: Field) -> None:
    for part in wire.read_fields(place.start, place.end):
        if part.number == 2:
            check_type(wire, part)


def _check_opset(wire: Wire, place: Field) -> None:
    for part in wire.read_fields(place.start, place.end):
        if part.number == 1:
            _check_domain(wire.read_text(part))


def _check_domain(domain: str) -> None:
    if domain not in DOMAINS:
        raise refuse("operators that onnxruntime has itself", f"some of {domain[:64]!r}")


def _check_node(wire: Wire, place: Field) -> _Node:
    node = _Node()
    for part in wire.read_fields(place.start, place.end):
        if part.number == 1:
            node.inputs.append(wire.read_text(part))
        elif part.number == 2:
            node.outputs.append(wire.read_text(part))
        elif part.number == 4:
            node.operator = wire.read_text(part)
        elif part.number == 5:
            name, numbers = _check_attribute(wire, part)
            if numbers is not None:
                node.numbers[name] = numbers
        elif part.number == 7:
            _check_domain(wire.read_text(part))
    return node


def _check_attribute(wire: Wire, place: Field) -> tuple[str, Numbers | None]:
    """Checks an attribute; gives its name, and its numbers where they are few."""
    name = ""
    numbers: Numbers | None = None
    lists: list[Field] = []
    for part in wire.read_fields(place.start, place.end, _RUNS):
        if part.number == 1:
            name = wire.read_text(part)
        elif part.number in (6, 11):
            raise refuse("a flat graph", f"one inside of another ({name[:64]!r} of a node)")
        elif part.number in (22, 23):
            raise refuse("arrays that are given in full", "a sparse one")
        elif part.number in (14, 15):
            check_type(wire, part)
        elif part.number in (5, 10):
            numbers = check_tensor(wire, part).numbers
        elif part.number in (2, 3, 7, 8):
            lists.append(part)
    return name, _join_lists(wire, name, lists) if lists else numbers


def _join_lists(wire: Wire, name: str, lists: Sequence[Field]) -> Numbers | None:
    """Returns the numbers of all fields of an attribute's lists, where they are few.

    A list may come in several fields, which whoever reads it joins.
    """
    if sum(part.end - part.start for part in lists) >= _MOST_LIST_BYTES:
        if name in _GROWING:
            raise refuse(f"lists of {name!r} below {_MOST_LIST_BYTES} bytes", "a longer one")
        return None
    numbers: list[float] = []
    for part in lists:
        numbers += wire.read_reals(part) if part.number in (2, 7) else wire.read_numbers(part)
    return numbers


def _check_growth(node: _Node, constants: Mapping[str, Numbers]) -> None:
    """Checks that what a node makes is no larger than a network has need of.

    Only what the file states is looked at; onnxruntime would make it while it loads the file.
    """
    made = [node.numbers.get("shape"), _find_input(node, _SHAPES, constants)]
    for shape in made:
        if shape is not None and not _is_small(math.prod(max(1.0, abs(axis)) for axis in shape)):
            raise refuse(f"arrays of at most {MOST_ELEMENTS} numbers", f"{_name(node)} of more")
    if node.operator == "Range":
        ends = [numbers[0] for name in node.inputs if (numbers := constants.get(name))]
        if len(ends) == 3 and not _is_small(abs(ends[1] - ends[0]) / (abs(ends[2]) or 1.0)):
            raise refuse(f"arrays of at most {MOST_ELEMENTS} numbers", f"{_name(node)} of more")
    widths = [numbers for name, numbers in node.numbers.items() if name in _WIDENING]
    for width in (*widths, _find_input(node, _STRETCHES, constants)):
        if width is not None and not all(abs(length) <= MOST_STRETCH for length in width):
            raise refuse(f"operators that stretch by at most {MOST_STRETCH}", f"{_name(node)}")


def _find_input(
    node: _Node, table: Mapping[str, int], constants: Mapping[str, Numbers]
) -> Numbers | None:
    """Returns the constant that stands at a place among a node's inputs; None where none does."""
    place = table.get(node.operator)
    if place is None or place >= len(node.inputs):
        return None
    return constants.get(node.inputs[place])


def _is_small(elements: float) -> bool:
    return elements <= MOST_ELEMENTS


def _name(node: _Node) -> str:
    return f"{node.operator[:64]!r}"
