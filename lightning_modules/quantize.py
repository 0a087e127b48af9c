"""8-bit artifacts: static quantisation, calibrated on training rows (Jacob et al., 2018; Nagel et al., 2021)."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from lightning_modules.errors import ExportError
from lightning_modules.export import INPUT, clear_provenance, serialize_model

# The head's arithmetic (Cast, Sub, Mul) and the answer (Softmax, ArgMax) stay in floating point: they cost nothing, and
# eight bits there would lose what the network was trained on.
QUANTIZED = (
    "Conv",
    "Gemm",
    "MatMul",
    "Add",
    "Relu",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "ReduceMean",
    "Clip",
)
CALIBRATION_BATCH = 64


def quantize_int8(fp32: bytes, calibration: NDArray[Any]) -> bytes:
    """The same network with 8-bit weights, symmetric and a channel each, and unsigned 8-bit activations (QDQ, u8s8).

    Args:
        fp32: An ONNX file of `export_onnx`.
        calibration: (N, C, H, W) raw training rows, N >= 1, that fix the activations' ranges.

    Raises:
        ExportError: No calibration rows, or the quantiser refused the network.
    """
    if len(calibration) == 0:
        raise ExportError("calibration must hold at least one row; got none; give the training split rows")
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with _quiet(), tempfile.TemporaryDirectory(prefix="lepton-quantize-") as folder:
        source, folded, target = (Path(folder, name) for name in ("source.onnx", "folded.onnx", "int8.onnx"))
        source.write_bytes(fp32)
        try:
            quant_pre_process(source, folded, skip_symbolic_shape=True)
            quantize_static(
                folded,
                target,
                CalibrationRows(calibration),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTIZED),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                # AVX2 and older add pairs of products in 16 bits: 7-bit weights cannot overflow them.
                reduce_range=False,
            )
        except Exception as error:
            raise ExportError(
                f"network must be quantisable to 8 bits; got {type(error).__name__}: {error}; "
                "leave int8 out of compress.candidates"
            ) from error
        model = onnx.load(target)
    clear_provenance(model)
    return serialize_model(model)


class CalibrationRows:
    """Rows in batches, as the quantiser asks for them."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._batches = iter(
            [{INPUT: rows[start : start + CALIBRATION_BATCH]} for start in range(0, len(rows), CALIBRATION_BATCH)]
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next batch; None behind the last."""
        return next(self._batches, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser logs hints to the root logger, and warns of its own dependencies."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
