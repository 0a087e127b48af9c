"""Running an artifact's exact bytes, verified before they are parsed, in onnxruntime on the CPU."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import BadArtifact, BadInput
from deployments.targets.run.onnx_check import check_onnx
from deployments.targets.run.onnx_memory import check_memory
from deployments.targets.trust.card import Card, InputSpec, OutputSpec
from storage.base.store import sha256_bytes

_ORT_TYPES = {
    "bool": "tensor(bool)",
    "uint8": "tensor(uint8)",
    "int8": "tensor(int8)",
    "uint16": "tensor(uint16)",
    "int16": "tensor(int16)",
    "int32": "tensor(int32)",
    "int64": "tensor(int64)",
    "float32": "tensor(float)",
    "float64": "tensor(double)",
}
Outputs = tuple[OutputSpec, ...]
Array = NDArray[Any]
FEW = 32


class _Node(Protocol):
    name: str
    type: str
    shape: Sequence[int | str | None]


class _Session(Protocol):
    """onnxruntime.InferenceSession, as far as it is used here."""

    def run(
        self, outputs: Sequence[str], feed: Mapping[str, NDArray[np.generic]]
    ) -> list[NDArray[Any]]: ...
    def get_inputs(self) -> Sequence[_Node]: ...
    def get_outputs(self) -> Sequence[_Node]: ...


@dataclass(frozen=True)
class Port:
    """One array that goes into an artifact or comes out of it, as onnxruntime says.

    Attributes:
        name: Its name.
        dtype: numpy name of its dtype.
        shape: One sample's shape without the batch axis; None for an axis of any length.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Answers:
    """What a model answers for N samples.

    Attributes:
        outputs: What it answers with, in the order of its card.
        arrays: Name of an output -> (N, *shape), the output's dtype.
    """

    outputs: Outputs
    arrays: dict[str, Array]

    @property
    def values(self) -> Array:
        """Returns the last array, (N, K) probabilities, (N,) scores, or values, for figures."""
        return self.arrays[self.outputs[-1].name]


class Predictor:
    """One artifact, loaded.

    Args:
        data: The artifact's bytes, ONNX with its preprocessing inside.
        spec: The raw sample that it takes.
        outputs: The arrays that it answers with.
        sha256: What the bytes must hash to; checked before they are parsed. None: measuring bytes
            made in this process.
        threads: Threads of one call. Processes side by side must share the cores out among them.

    Raises:
        BadArtifact: The bytes are others, no ONNX model, or not the model described.
    """

    def __init__(
        self,
        data: bytes,
        spec: InputSpec,
        outputs: Outputs,
        *,
        sha256: str | None = None,
        threads: int = 1,
    ) -> None:
        if sha256 is not None and (got := sha256_bytes(data)) != sha256:
            raise BadArtifact(f"artifact must hash to {sha256}; got {got}; fetch it again")
        self.spec = spec
        self.outputs = outputs
        check_onnx(data)
        if sha256 is not None:
            check_memory(data, spec)
        self._session = _open_session(data, threads)
        _check_input(self._session, spec)
        _check_outputs(self._session, outputs)

    @classmethod
    def from_card(cls, data: bytes, card: Card, *, threads: int = 1) -> "Predictor":
        """Loads the artifact that a card describes."""
        return cls(data, card.input, card.outputs, sha256=card.artifact.sha256, threads=threads)

    def list_ports(self) -> tuple[list[Port], list[Port]]:
        """Return what goes in and what comes out, as onnxruntime says of the artifact."""
        return (
            [_to_port(node) for node in self._session.get_inputs()],
            [_to_port(node) for node in self._session.get_outputs()],
        )

    def predict(self, raw: NDArray[np.generic], *, batch_size: int = 256) -> Answers:
        """Answers for raw samples.

        Args:
            raw: (N, *spec.shape), the spec's dtype, N >= 1.
            batch_size: Samples of one call into the runtime; bounds the memory.

        Raises:
            BadInput: Another shape or dtype.
            BadArtifact: The model fails, or its answer is not of the shape and range that its card
                promises.
        """
        self._check_input(raw)
        parts = [
            self._run(raw[start : start + batch_size]) for start in range(0, len(raw), batch_size)
        ]
        arrays = {
            output.name: _join([part[place] for part in parts], output)
            for place, output in enumerate(self.outputs)
        }
        return Answers(self.outputs, arrays)

    def _check_input(self, raw: NDArray[np.generic]) -> None:
        if raw.dtype != np.dtype(self.spec.dtype):
            raise BadInput(
                f"input {self.spec.name!r} must be {self.spec.dtype}; got {raw.dtype}; give raw "
                "values"
            )
        if (
            raw.ndim != len(self.spec.shape) + 1
            or raw.shape[1:] != self.spec.shape
            or len(raw) == 0
        ):
            axes = ", ".join(map(str, self.spec.shape))
            raise BadInput(
                f"input {self.spec.name!r} must have shape (N, {axes}) with N >= 1; got "
                f"{raw.shape}; reshape it"
            )

    def _run(self, batch: NDArray[np.generic]) -> list[Array]:
        feed = {self.spec.name: np.ascontiguousarray(batch)}
        try:
            arrays = self._session.run([output.name for output in self.outputs], feed)
        except Exception as error:
            raise BadArtifact(
                f"artifact must run on {batch.shape}; got {error}; export it again"
            ) from error
        for output, array in zip(self.outputs, arrays, strict=True):
            _check_answer(array, output, len(batch))
        return arrays


def _check_answer(array: Array, output: OutputSpec, rows: int) -> None:
    """Holds what came out of a run against what the card promises of it."""
    if array.shape[:1] != (rows,) or not _fits(array.shape[1:], output.shape):
        raise BadArtifact(
            f"artifact must answer {rows} samples with {output.name} of shape "
            f"{_show_shape(output.shape)} each; got {array.shape}; export it again"
        )
    if array.dtype.kind == "f" and not _are_finite(array):
        raise BadArtifact(f"artifact must answer finite {output.name}; got others; export it again")
    if output.meaning == "label" and not _are_places(array, len(output.labels)):
        raise BadArtifact(
            f"artifact must answer {output.name} within its {len(output.labels)} labels; got "
            "others; export it again"
        )


def _are_finite(array: Array) -> bool:
    if array.size <= FEW:  # A list of a few numbers is looked through in a tenth of the time.
        return all(map(math.isfinite, array.reshape(-1).tolist()))
    return bool(np.isfinite(array).all())


def _are_places(array: Array, count: int) -> bool:
    """Tells whether all are places among so many."""
    if array.size <= FEW:
        return all(0 <= place < count for place in array.reshape(-1).tolist())
    return bool(((array >= 0) & (array < count)).all())


def _join(parts: list[Array], output: OutputSpec) -> Array:
    """Puts the answers to several batches behind each other."""
    if len(parts) == 1:
        return parts[0]
    try:
        return np.concatenate(parts)
    except ValueError as error:
        raise BadArtifact(
            f"artifact must answer every batch with {output.name} of one shape; got {error}; "
            "answer fewer samples at once"
        ) from error


def _fits(shape: Sequence[object], wanted: tuple[int | None, ...]) -> bool:
    """Tells whether a shape is the one wanted; what is no number on either side may be any."""
    return len(shape) == len(wanted) and all(
        found == length
        for found, length in zip(shape, wanted, strict=True)
        if isinstance(found, int) and length is not None
    )


def _show_shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if length is None else str(length) for length in shape) + ")"


def _open_session(data: bytes, threads: int) -> _Session:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Idle threads sleep: a device, or the training beside it, has better use for its cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session: _Session = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise BadArtifact(
            f"artifact must be an ONNX model; got {error}; export it again"
        ) from error
    return session


def _check_input(session: _Session, spec: InputSpec) -> None:
    """Holds what the artifact takes against the card."""
    inputs = session.get_inputs()
    if [node.name for node in inputs] != [spec.name]:
        raise BadArtifact(
            f"artifact must take one input, {spec.name!r}; got {[node.name for node in inputs]}"
        )
    dtype, shape = _name_dtype(inputs[0]), tuple(inputs[0].shape[1:])
    if (dtype, shape) != (spec.dtype, spec.shape):
        raise BadArtifact(
            f"artifact input {spec.name!r} must be {spec.dtype} {spec.shape}; got {dtype} {shape}"
        )


def _check_outputs(session: _Session, outputs: Outputs) -> None:
    """Holds what the artifact says that it answers with against the card."""
    nodes = {node.name: node for node in session.get_outputs()}
    for output in outputs:
        wanted = (
            f"artifact output {output.name!r} must be {output.dtype} {_show_shape(output.shape)}"
        )
        if output.name not in nodes:
            raise BadArtifact(f"{wanted}; got none; export it again")
        node = nodes[output.name]
        # A node without axes has none that are known; what comes out is checked all the same.
        if _name_dtype(node) != output.dtype or (
            node.shape and not _fits(node.shape[1:], output.shape)
        ):
            raise BadArtifact(
                f"{wanted}; got {_name_dtype(node)} {tuple(node.shape[1:])}; export it again"
            )


def _to_port(node: _Node) -> Port:
    shape = (length if isinstance(length, int) else None for length in node.shape[1:])
    return Port(node.name, _name_dtype(node), tuple(shape))


def _name_dtype(node: _Node) -> str:
    return next((name for name, ort in _ORT_TYPES.items() if ort == node.type), node.type)
