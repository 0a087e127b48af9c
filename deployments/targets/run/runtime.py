"""Running an artifact: the exact bytes, verified before they are parsed, in onnxruntime on the CPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import BadArtifact, BadInput
from deployments.targets.trust.card import Card, InputSpec, OutputSpec
from storage.base.store import sha256_bytes

_INT, _FLOAT = "tensor(int64)", "tensor(float)"
OUTPUTS = {
    "classes": {"label": _INT, "probabilities": _FLOAT},
    "values": {"values": _FLOAT},
    "score": {"label": _INT, "score": _FLOAT},
}
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

    def run(
        self, outputs: Sequence[str], feed: Mapping[str, NDArray[np.generic]]
    ) -> list[NDArray[Any]]: ...
    def get_inputs(self) -> Sequence[_Node]: ...
    def get_outputs(self) -> Sequence[_Node]: ...


@dataclass(frozen=True)
class Answers:
    """What a model answers for N samples.

    Attributes:
        values: float32: probabilities (N, K) of which rows sum to 1, scores (N,), or values (N,) or
            (N, H, T).
        labels: int64 (N,), index of the class; None where a model tells none.
    """

    values: NDArray[np.float32]
    labels: NDArray[np.int64] | None = None

    @property
    def classes(self) -> NDArray[np.int64]:
        """The labels of a model that tells them.

        Raises:
            BadInput: It tells none.
        """
        if self.labels is None:
            raise BadInput("model must tell classes; got one that answers with values; read those")
        return self.labels


class Predictor:
    """One artifact, loaded.

    Args:
        data: The artifact's bytes, ONNX with its preprocessing inside.
        spec: The raw sample that it takes.
        output: What it answers.
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
        output: OutputSpec,
        *,
        sha256: str | None = None,
        threads: int = 1,
    ) -> None:
        if sha256 is not None and (got := sha256_bytes(data)) != sha256:
            raise BadArtifact(f"artifact must hash to {sha256}; got {got}; fetch it again")
        self.spec = spec
        self.output = output
        self._session = _open_session(data, threads)
        _check_signature(self._session, spec, output)

    @classmethod
    def from_card(cls, data: bytes, card: Card, *, threads: int = 1) -> "Predictor":
        """The artifact that a card describes."""
        output = card.output.model_copy(update={"classes": len(card.labels)})
        return cls(data, card.input, output, sha256=card.artifact.sha256, threads=threads)

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
        labels = [part.labels for part in parts if part.labels is not None]
        return Answers(
            values=np.concatenate([part.values for part in parts]),
            labels=np.concatenate(labels) if labels else None,
        )

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

    def _run(self, batch: NDArray[np.generic]) -> Answers:
        feed = {self.spec.name: np.ascontiguousarray(batch)}
        try:
            *labels, values = self._session.run(list(OUTPUTS[self.output.kind]), feed)
        except Exception as error:
            raise BadArtifact(
                f"artifact must run on {batch.shape}; got {error}; export it again"
            ) from error
        rows = len(batch)
        wanted = (
            (rows, self.output.classes)
            if self.output.kind == "classes"
            else (rows, *self.output.shape)
        )
        if values.shape != wanted or any(part.shape != (rows,) for part in labels):
            raise BadArtifact(
                f"artifact must answer {rows} samples with {self._describe_output(wanted)}; got "
                f"{' and '.join(str(part.shape) for part in (*labels, values))}; export it again"
            )
        classes = self.output.classes if self.output.kind == "classes" else 2
        if not np.isfinite(values).all() or any(
            ((part < 0) | (part >= classes)).any() for part in labels
        ):
            raise BadArtifact(
                f"artifact must answer finite {list(OUTPUTS[self.output.kind])[-1]} and labels of "
                "its classes; got others; "
                "export it again"
            )
        return Answers(values=values, labels=labels[0] if labels else None)

    def _describe_output(self, shape: tuple[int, ...]) -> str:
        names = list(OUTPUTS[self.output.kind])
        return " and ".join(
            [f"({shape[0]},) {name}s" for name in names[:-1]] + [f"{shape} {names[-1]}"]
        )


def compute_agreement(labels: NDArray[np.int64], reference: NDArray[np.int64]) -> float:
    """Fraction, 0..1, of N >= 1 samples with the same label in both."""
    if labels.shape != reference.shape or labels.size == 0:
        raise BadInput(
            f"labels must be as many as the reference's, one or more; got {labels.shape} and "
            f"{reference.shape}"
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
        session: _Session = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise BadArtifact(
            f"artifact must be an ONNX model; got {error}; export it again"
        ) from error
    return session


def _check_signature(session: _Session, spec: InputSpec, output: OutputSpec) -> None:
    inputs, outputs = session.get_inputs(), {node.name: node for node in session.get_outputs()}
    if [node.name for node in inputs] != [spec.name]:
        raise BadArtifact(
            f"artifact must take one input, {spec.name!r}; got {[node.name for node in inputs]}"
        )
    dtype, shape = _ORT_TYPES.get(inputs[0].type, inputs[0].type), tuple(inputs[0].shape[1:])
    if (dtype, shape) != (spec.dtype, spec.shape):
        raise BadArtifact(
            f"artifact input {spec.name!r} must be {spec.dtype} {spec.shape}; got {dtype} {shape}"
        )
    for name, expected in OUTPUTS[output.kind].items():
        found = outputs[name].type if name in outputs else "none"
        if found != expected:
            raise BadArtifact(
                f"artifact output {name!r} must be {expected}; got {found}; export it again"
            )
    if output.kind != "classes":
        return
    width = outputs["probabilities"].shape[-1]
    if isinstance(width, int) and width != output.classes:
        raise BadArtifact(
            f"artifact must tell {output.classes} classes apart, as its card says; got {width}"
        )
