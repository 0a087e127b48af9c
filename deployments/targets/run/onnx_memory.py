"""What an artifact needs to answer one sample, tried out within bounds before it is loaded for use.

What a file states of sizes is asked by `onnx_check`; what comes of it by and by, as of arrays that
double at each of many operators, shows only when it is carried out. So a session without any
optimisation, which would carry out at once what is constant, answers a sample of zeros, and gets no
more memory from onnxruntime than an honest network needs.
"""

import functools
import threading
from typing import Final

import numpy as np

from deployments.targets.errors import BadArtifact
from deployments.targets.trust.card import InputSpec

MOST_BYTES: Final = 64 * 2**20
"""Most memory for the arrays that stand between an artifact's input and its outputs."""
_OPENING = threading.Lock()
_SHORT: Final = ("Available memory of", "Failed to allocate memory", "bad_alloc")
"""How onnxruntime says that it gets no more memory."""


def check_memory(data: bytes, spec: InputSpec) -> None:
    """Lets an artifact answer a sample of zeros in little memory.

    One that does not answer is refused, too: what it grows to was not seen then.

    Args:
        data: Its bytes, of which `check_onnx` holds.
        spec: The raw sample that it takes.

    Raises:
        BadArtifact: It needs more, or does not answer.
    """
    try:
        _answer_zeros(data, spec)
    except Exception as error:
        if any(words in str(error) for words in _SHORT):
            raise BadArtifact(
                f"artifact must need at most {MOST_BYTES} bytes between its input and its outputs "
                "to answer one sample; got more; export a smaller network"
            ) from error
        raise BadArtifact(
            f"artifact must be an ONNX model that answers a sample of zeros; got {error}; export "
            "it again"
        ) from error


def _answer_zeros(data: bytes, spec: InputSpec) -> None:
    import onnxruntime

    with _OPENING:
        _open_arena()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Weights are no larger than the file.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    once = onnxruntime.RunOptions()
    once.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    feed = {spec.name: np.zeros((1, *spec.shape), spec.dtype)}
    session.run([session.get_outputs()[-1].name], feed, once)


@functools.cache
def _open_arena() -> None:
    """Bounds the memory that such sessions of this process share; others have arenas of their own.

    Source: https://onnxruntime.ai/docs/get-started/with-c.html (shared arena allocators).
    """
    from onnxruntime.capi import _pybind_state as native

    place = native.OrtMemoryInfo(
        "Cpu", native.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, native.OrtMemType.DEFAULT
    )
    bounds = native.OrtArenaCfg(
        {
            "max_mem": MOST_BYTES,
            "arena_extend_strategy": 1,  # as much as is asked for, no power of two
            "initial_chunk_size_bytes": -1,
            "max_dead_bytes_per_chunk": -1,
        }
    )
    native.create_and_register_allocator(place, bounds)
