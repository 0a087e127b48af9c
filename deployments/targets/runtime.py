"""Running an artifact: the exact bytes, verified before they are parsed, in onnxruntime on the CPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.targets.card import Card, InputSpec
from deployments.targets.errors import BadArtifact, BadInput
from storage.files import sha256_bytes

LABEL_OUTPUT = "label"
PROBABILITIES_OUTPUT = "probabilities"
_ORT_TYPES = {
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(uint16)": "uint16",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
}


class _Node(Protocol):
    name: str
    type: str
    shape: Sequence[int | str | None]


class _Session(Protocol):
    """onnxruntime.InferenceSession, as far as it is used here."""

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[np.generic]]) -> list[NDArray[Any]]: ...
    def get_inputs(self) -> Sequence[_Node]: ...
    def get_outputs(self) -> Sequence[_Node]: ...


@dataclass(frozen=True)
class Answers:
    """What a model answers for N samples.

    Attributes:
        labels: int64 (N,), index of the class.
        probabilities: float32 (N, K), rows sum to 1.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]


class Predictor:
    """One artifact, loaded.

    Args:
        data: The artifact's bytes, ONNX with its preprocessing inside.
        spec: The raw sample that it takes.
        classes: Number of its classes.
        sha256: What the bytes must hash to; checked before they are parsed. None: measuring bytes made in this process.
        threads: Threads of one call. Processes side by side must share the cores out among them.

    Raises:
        BadArtifact: The bytes are others, no ONNX model, or not the model described.
    """

    def __init__(
        self, data: bytes, spec: InputSpec, classes: int, *, sha256: str | None = None, threads: int = 1
    ) -> None:
        if sha256 is not None and (got := sha256_bytes(data)) != sha256:
            raise BadArtifact(f"artifact must hash to {sha256}; got {got}; fetch it again")
        self.spec = spec
        self.classes = classes
        self._session = _open_session(data, threads)
        _check_signature(self._session, spec, classes)

    @classmethod
    def from_card(cls, data: bytes, card: Card, *, threads: int = 1) -> "Predictor":
        """The artifact that a card describes."""
        return cls(data, card.input, len(card.labels), sha256=card.artifact.sha256, threads=threads)

    def predict(self, raw: NDArray[np.generic], *, batch_size: int = 256) -> Answers:
        """Answers for raw samples.

        Args:
            raw: (N, *spec.shape), the spec's dtype, N >= 1.
            batch_size: Samples of one call into the runtime; bounds the memory.

        Raises:
            BadInput: Another shape or dtype.
            BadArtifact: The model fails, or its answer is no distribution over its classes.
        """
        self._check_input(raw)
        parts = [self._run(raw[start : start + batch_size]) for start in range(0, len(raw), batch_size)]
        return Answers(
            labels=np.concatenate([part.labels for part in parts]),
            probabilities=np.concatenate([part.probabilities for part in parts]),
        )

    def _check_input(self, raw: NDArray[np.generic]) -> None:
        if raw.dtype != np.dtype(self.spec.dtype):
            raise BadInput(f"input {self.spec.name!r} must be {self.spec.dtype}; got {raw.dtype}; give raw values")
        if raw.ndim != len(self.spec.shape) + 1 or raw.shape[1:] != self.spec.shape or len(raw) == 0:
            axes = ", ".join(map(str, self.spec.shape))
            raise BadInput(
                f"input {self.spec.name!r} must have shape (N, {axes}) with N >= 1; got {raw.shape}; reshape it"
            )

    def _run(self, batch: NDArray[np.generic]) -> Answers:
        feed = {self.spec.name: np.ascontiguousarray(batch)}
        try:
            labels, probabilities = self._session.run([LABEL_OUTPUT, PROBABILITIES_OUTPUT], feed)
        except Exception as error:
            raise BadArtifact(f"artifact must run on {batch.shape}; got {error}; export it again") from error
        rows = len(batch)
        if labels.shape != (rows,) or probabilities.shape != (rows, self.classes):
            raise BadArtifact(
                f"artifact must answer ({rows},) labels and ({rows}, {self.classes}) probabilities; got "
                f"{labels.shape} and {probabilities.shape}; export it again"
            )
        in_range = (labels >= 0) & (labels < self.classes)
        if not in_range.all() or not np.isfinite(probabilities).all():
            raise BadArtifact(
                "artifact must answer finite probabilities and labels of its classes; got others; export it again"
            )
        return Answers(labels=labels, probabilities=probabilities)


def compute_agreement(labels: NDArray[np.int64], reference: NDArray[np.int64]) -> float:
    """Fraction, 0..1, of N >= 1 samples with the same label in both."""
    if labels.shape != reference.shape or labels.size == 0:
        raise BadInput(
            f"labels must be as many as the reference's, one or more; got {labels.shape} and {reference.shape}"
        )
    return float(np.mean(labels == reference))


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
        session: _Session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BadArtifact(f"artifact must be an ONNX model; got {error}; export it again") from error
    return session


def _check_signature(session: _Session, spec: InputSpec, classes: int) -> None:
    inputs, outputs = session.get_inputs(), {node.name: node for node in session.get_outputs()}
    if [node.name for node in inputs] != [spec.name]:
        raise BadArtifact(f"artifact must take one input, {spec.name!r}; got {[node.name for node in inputs]}")
    dtype, shape = _ORT_TYPES.get(inputs[0].type, inputs[0].type), tuple(inputs[0].shape[1:])
    if (dtype, shape) != (spec.dtype, spec.shape):
        raise BadArtifact(f"artifact input {spec.name!r} must be {spec.dtype} {spec.shape}; got {dtype} {shape}")
    for name, expected in ((LABEL_OUTPUT, "tensor(int64)"), (PROBABILITIES_OUTPUT, "tensor(float)")):
        found = outputs[name].type if name in outputs else "none"
        if found != expected:
            raise BadArtifact(f"artifact output {name!r} must be {expected}; got {found}; export it again")
    width = outputs[PROBABILITIES_OUTPUT].shape[-1]
    if isinstance(width, int) and width != classes:
        raise BadArtifact(f"artifact must tell {classes} classes apart, as its card says; got {width}")
