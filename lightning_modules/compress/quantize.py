"""Makes 8-bit artifacts, of networks for pixels by static quantisation, calibrated on rows.

After Jacob et al. (2018) and Nagel et al. (2021). Of all others the weights alone are quantised.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from lightning_modules.compress.kernels import find_faster, find_gates
from lightning_modules.compress.onnx_export import (
    clear_provenance,
    is_recurrent,
    serialize_model,
)
from lightning_modules.compress.weights import quantize_weights
from lightning_modules.errors import ExportError
from lightning_modules.specs.compress import Method

# The head's arithmetic (Cast, Sub, Mul) and the answer (Softmax, ArgMax) stay in floating point:
# they cost nothing, and eight bits there would lose what the network was trained on.
QUANTIZED = (
    "Conv",
    "Gemm",
    "MatMul",
    "Add",
    "Relu",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Clip",
    "Sigmoid",
    "Mul",
)
CALIBRATION_BATCH = 64


def static_settings() -> dict[str, Any]:
    """Returns the settings of the static quantiser."""
    from onnxruntime.quantization import QuantFormat, QuantType

    return {
        "quant_format": QuantFormat.QDQ,
        "op_types_to_quantize": list(QUANTIZED),
        "per_channel": True,
        "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QInt8,
        # Weights of 7 bits: processors without VNNI add pairs of products in 16 bits, where 8 bits
        # can saturate, and an artifact must answer on every device as it did where it was measured.
        "reduce_range": True,
    }


def calibrates(fp32: bytes, rows: NDArray[Any]) -> bool:
    """Tells whether int8 of a network for such rows has activations, whose ranges rows fix.

    Of whole numbers, whose bounds are known, where some layer is faster so; else they stay
    floating, as in recurrent networks, whose states would add up what is lost.
    """
    if not np.issubdtype(rows.dtype, np.integer):
        return False
    model = onnx.load_from_string(fp32)
    return not is_recurrent(model) and bool(find_faster(model))


def quantize_int8(
    fp32: bytes, calibration: NDArray[Any], method: Method = "min_max"
) -> bytes | None:
    """Returns the same network with 8-bit weights; None where it has no weights.

    Weights are symmetric, with a scale a channel. Activations are of 8 bits, too (QDQ, u8s8,
    unsigned), where `calibrates` tells so, in the layers that are faster so.

    Args:
        fp32: An ONNX file of `export_onnx`.
        calibration: (N, ...) raw training samples, N >= 1, that fix the activations' ranges.
        method: How they do.

    Raises:
        ExportError: No calibration rows, or the quantiser refused the network.
    """
    if len(calibration) == 0:
        raise ExportError(
            "calibration must hold at least one row; got none; give the training split rows"
        )
    if not calibrates(fp32, calibration):
        model = onnx.load_from_string(fp32)
        return serialize_model(model) if quantize_weights(model) else None
    try:
        model = _quantize_statically(fp32, calibration, method)
    except Exception as error:
        raise ExportError(
            f"network must be quantisable to 8 bits; got {type(error).__name__}: {error}; "
            "leave int8 out of compress.candidates"
        ) from error
    quantize_weights(model)
    clear_provenance(model)
    shorten_names(model)
    return serialize_model(model)


def _quantize_statically(fp32: bytes, calibration: NDArray[Any], method: Method) -> onnx.ModelProto:
    from onnxruntime.quantization import CalibrationMethod, quantize_static

    with fold_network(fp32) as folded:
        target = folded.with_name("int8.onnx")
        rows = CalibrationRows(calibration, find_input(folded))
        settings = {**static_settings(), "nodes_to_exclude": find_floating(folded)}
        if method == "min_max":
            settings["calibrate_method"] = CalibrationMethod.MinMax
        else:
            settings["calibration_cache_path"] = folded.with_name("ranges.json")
            settings["calibrate_method"] = write_ranges(
                folded, rows, method, settings["calibration_cache_path"]
            )
        quantize_static(folded, target, rows, **settings)
        return onnx.load(target)


@contextmanager
def fold_network(fp32: bytes) -> Iterator[Path]:
    """Gives a network's file as quantisers take it, in a folder of its own; they are kept quiet."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with _quiet(), tempfile.TemporaryDirectory(prefix="lepton-quantize-") as folder:
        source, folded = Path(folder, "source.onnx"), Path(folder, "folded.onnx")
        source.write_bytes(fp32)
        quant_pre_process(source, folded, skip_symbolic_shape=True)
        yield folded


def write_ranges(source: Path, rows: "CalibrationRows", method: Method, target: Path) -> Any:
    """Writes the ranges of all activations, from histograms that are filled batch by batch.

    The quantiser itself would hold the activations of all rows at once.

    Returns:
        The quantiser's name of the method.
    """
    from onnxruntime.quantization import calibrate

    named = {"percentile": "Percentile", "entropy": "Entropy"}[method]
    found = calibrate.CalibrationMethod[named]
    augmented = str(target.with_name("augmented.onnx"))
    calibrator = calibrate.create_calibrator(
        source, list(QUANTIZED), augmented_model_path=augmented, calibrate_method=found
    )
    while (batch := rows.get_next()) is not None:
        ((name, some),) = batch.items()
        calibrator.collect_data(CalibrationRows(some, name))
    calibrate.save_tensors_data(calibrator.compute_data(), target)
    return found


def find_input(path: Path) -> str:
    """Returns the name of the one input of an ONNX file."""
    return str(onnx.load(path).graph.input[0].name)


def find_stacked(path: Path) -> list[str]:
    """Finds products with several matrices at once, which stay as they are.

    The runtime cannot quantise them a channel each.
    """
    graph = onnx.load(path).graph
    stacked = {weight.name for weight in graph.initializer if len(weight.dims) > 2}
    return [
        node.name for node in graph.node if node.op_type == "MatMul" and stacked & set(node.input)
    ]


def find_floating(path: Path) -> list[str]:
    """Finds the nodes that stay in floating arithmetic: those that would not be faster in 8 bits.

    Of factors only gates are quantised: others belong to the head or to a normalisation.
    """
    model = onnx.load(path)
    faster, gates = find_faster(model), find_gates(model.graph)
    return [
        *find_stacked(path),
        *(
            node.name
            for node in model.graph.node
            if node.name not in faster
            or (node.op_type in ("Sigmoid", "Mul") and node.name not in gates)
        ),
    ]


def shorten_names(model: onnx.ModelProto) -> None:
    """Gives all but inputs and outputs the shortest names: pairs of quantisers have many."""
    graph = model.graph
    kept = {value.name for value in (*graph.input, *graph.output)}
    short: dict[str, str] = {name: name for name in ("", *kept)}

    def shorten(name: str) -> str:
        if name not in short:
            short[name] = f"t{len(short)}"
        return short[name]

    for node in graph.node:
        node.name = ""
        for names in (node.input, node.output):
            names[:] = [shorten(name) for name in names]
    for tensor in graph.initializer:
        tensor.name = shorten(tensor.name)


class CalibrationRows:
    """Hands out rows in batches, as the quantiser asks for them."""

    def __init__(self, rows: NDArray[Any], name: str) -> None:
        self._batches = iter(
            [
                {name: rows[start : start + CALIBRATION_BATCH]}
                for start in range(0, len(rows), CALIBRATION_BATCH)
            ]
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """Returns the next batch; None behind the last."""
        return next(self._batches, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back the quantiser's hints to the root logger and its dependencies' warnings."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with redirect_stdout(StringIO()):  # It prints how its histograms come along.
                yield
    finally:
        root.setLevel(level)
