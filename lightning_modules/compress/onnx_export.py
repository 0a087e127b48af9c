"""Networks as ONNX files with the head inside: raw samples in, answers out."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_modules.errors import ExportError
from lightning_modules.networks.fitted import FittedNetwork
from lightning_modules.specs.forms import FORMS, AnySample
from lightning_modules.training.learner import Learner

OPSET = 20


class Answering(nn.Module):
    """What is exported: head, network, and the answer in the form that a caller wants.

    Args:
        learner: A trained one.
    """

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.head = learner.head
        self.network = learner.network
        self.answer = learner.answer

    def forward(self, sample: Tensor) -> tuple[Tensor, ...]:
        """Turns raw values (N, ...) into the answer's outputs."""
        features = self.head(sample)
        answers: tuple[Tensor, ...] = self.answer(self.network(features), features)
        return answers


def export_onnx(learner: Learner, sample: AnySample) -> bytes:
    """Exports the learner as one self-contained ONNX file.

    Equal weights give equal bytes.

    Its input is `image` (N, C, H, W), `row` (N, D) or `window` (N, L, D), raw values in their own
    dtype, any N. Its outputs are those of its answer: `label` and `probabilities`, `values`, or
    `label` and `score`.

    Raises:
        ExportError: The exporter refused the network, or its export is not valid.
    """
    answering = Answering(learner).to("cpu").eval()
    example = torch.zeros((2, *sample.shape), dtype=getattr(torch, sample.dtype))
    try:
        with _quiet(), _share_operators(), torch.no_grad():
            program = torch.onnx.export(
                answering,
                (example,),
                dynamo=True,
                external_data=False,
                opset_version=OPSET,
                input_names=[FORMS.find(sample.form).input_name],
                output_names=list(learner.answer.names),
                dynamic_shapes=({0: torch.export.Dim("N")},),
                verbose=False,
            )
        if program is None:
            raise ExportError(
                "network must be exportable to ONNX; got no program; update torch and onnxscript"
            )
        model = fold_recurrent_weights(program.model_proto)
        complete_nodes(model, answering)
        clear_provenance(model)
        onnx.checker.check_model(model, full_check=True)
    except (
        torch.onnx.errors.OnnxExporterError,
        onnx.checker.ValidationError,
        RuntimeError,
    ) as error:
        raise ExportError(
            f"network ({type(learner.network).__name__}) must be exportable to ONNX; got "
            f"{type(error).__name__}: {error}; use operations that torch.onnx.export(dynamo=True) "
            "knows"
        ) from error
    return serialize_model(model)


def fold_recurrent_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Computes the weights of recurrent cells, which the exporter puts in another order each call.

    Otherwise each session would turn them around anew, and nobody could find them to quantise.
    """
    if not is_recurrent(model):
        return model
    from onnxscript.optimizer import fold_constants

    size_bytes = model.ByteSize()
    fold_constants(
        model, onnx_shape_inference=False, input_size_limit=size_bytes, output_size_limit=size_bytes
    )
    return model


def is_recurrent(model: onnx.ModelProto) -> bool:
    """Tells whether a network has a memory in it, whose states are its own inputs."""
    return any(node.op_type in ("LSTM", "GRU", "RNN") for node in model.graph.node)


def complete_nodes(model: onnx.ModelProto, answering: nn.Module) -> None:
    """Writes the attributes that a network states itself to its exported nodes."""
    stated = {
        operator: attributes
        for part in answering.modules()
        if isinstance(part, FittedNetwork)
        for operator, attributes in part.list_attributes().items()
    }
    for node in model.graph.node:
        for name, value in stated.get(node.op_type, {}).items():
            kept = [entry for entry in node.attribute if entry.name != name]
            del node.attribute[:]
            node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])


def warm_up_exporter() -> None:
    """Exports next to nothing, since the exporter's first call imports 900 modules, for seconds."""
    with _quiet(), _share_operators(), torch.no_grad():
        example = (torch.zeros(1),)
        torch.onnx.export(nn.Identity(), example, dynamo=True, opset_version=OPSET, verbose=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back the exporter's warnings of its dependencies and of absent packages."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _share_operators() -> Iterator[None]:
    """Has the exporter take its table of operators from the first export of this process.

    Each call builds one anew from the sources of 500 functions, for half the time of an export.
    Where the exporter keeps its table elsewhere, it goes on building it.
    """
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        builder = vars(ONNXRegistry)["from_torchlib"]
    except (ImportError, KeyError):
        yield
        return
    # Only in here: who exports outside of this may add operators of his own to his table.
    shared: Any = staticmethod(_call_once(ONNXRegistry.from_torchlib))
    ONNXRegistry.from_torchlib = shared  # type: ignore[method-assign]
    try:
        yield
    finally:
        ONNXRegistry.from_torchlib = builder  # type: ignore[method-assign]


@cache
def _call_once(build: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that keeps what it built, the same each time that it is asked for."""
    return cache(build)


def clear_provenance(model: onnx.ModelProto) -> None:
    """Removes what the exporter noted of the machine.

    Stack traces with local paths stand in nodes, functions and graph.
    """
    holders: list[Any] = [
        model,
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
    ]
    holders += [*model.graph.output, *model.graph.initializer, *model.functions]
    holders += [node for function in model.functions for node in function.node]
    for holder in holders:
        del holder.metadata_props[:]
        holder.doc_string = ""
    # Shapes in between are inferred again by every runtime, and only cost bytes.
    del model.graph.value_info[:]
    # Operator sets that no node uses are the exporter's own.
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(sorted(kept, key=lambda entry: str(entry.domain)))
    model.producer_name, model.producer_version = "lepton", ""
    model.graph.name = "lepton"


def stamp_model(content: bytes, about: Mapping[str, str], name: str) -> bytes:
    """Writes into a model's metadata what it is.

    Args:
        content: An ONNX file.
        about: By key, such as "model" and "kind"; nothing is written where it is empty.
        name: Of the artifact.
    """
    if not about:
        return content
    model = onnx.load_from_string(content)
    stamped = {**about, "artifact": name}
    onnx.helper.set_model_props(
        model, {f"lepton.{key}": value for key, value in sorted(stamped.items())}
    )
    return serialize_model(model)


def serialize_model(model: onnx.ModelProto) -> bytes:
    """Returns the file's bytes, maps in a fixed order."""
    return bytes(model.SerializeToString(deterministic=True))


def run_onnx(
    content: bytes, sample: NDArray[Any], *, batch_size: int = 256
) -> tuple[NDArray[Any], ...]:
    """Runs an artifact in onnxruntime on this machine's CPU.

    Args:
        content: An ONNX file of `export_onnx` or `quantize_int8`.
        sample: Raw values (N, ...).
        batch_size: Rows at a time.

    Returns:
        Its outputs in order, such as labels (N,) and probabilities (N, K).

    Raises:
        ExportError: The runtime refused the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [
            session.run(None, {name: sample[start : start + batch_size]})
            for start in range(0, len(sample), batch_size)
        ]
    except Exception as error:
        raise ExportError(
            f"artifact ({len(content)} bytes) must run in onnxruntime; got {type(error).__name__}: "
            f"{error}; export it again"
        ) from error
    return tuple(np.concatenate(parts) for parts in zip(*answers, strict=True))
