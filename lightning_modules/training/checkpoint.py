"""Keeps weights and resume states as safetensors.

There is no pickle, nothing half written, and nothing altered goes unnoticed.

A resume state carries its sha256 in its name, so that state and digest appear in one rename.
`Store.write` writes beside the target, fsyncs and renames.
"""

import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.distributed as dist
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from lightning_modules.errors import CheckpointError
from lightning_modules.training.precision import Precision
from lightning_modules.training.ranks import in_group, tell_ranks
from storage.base.errors import StorageError
from storage.base.store import Store, canonical_json, sha256_bytes

STATE_NAME = re.compile(r"resume-(\d{12})-([0-9a-f]{64})\.safetensors")
KEPT_STATES = 2


def pack_state(state: object) -> bytes:
    """Packs nested dicts, lists and tuples into the bytes of one safetensors file.

    They may hold tensors, strings, numbers and None.

    Equal states give equal bytes.

    Raises:
        CheckpointError: A value is of another type.
    """
    tensors: dict[str, Tensor] = {}
    tree = _split(state, tensors)
    # One metadata entry only: safetensors writes several in no fixed order.
    return save_tensors(tensors, metadata={"lepton": canonical_json(tree).decode()})


def unpack_state(content: bytes) -> Any:
    """Unpacks what `pack_state` packed.

    Raises:
        CheckpointError: The bytes are no such file.
    """
    try:
        tensors = load_tensors(content)
        tree = json.loads(read_metadata(content)["lepton"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint ({len(content)} bytes) must be a safetensors file written by Lepton; got "
            f"{type(error).__name__}: {error}; restore it from a copy, or train again"
        ) from error
    return _join(tree, tensors)


def read_metadata(content: bytes) -> dict[str, str]:
    """Reads the metadata of a safetensors file: 8 bytes of length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return cast(dict[str, str], header.get("__metadata__") or {})


def _split(value: object, tensors: dict[str, Tensor]) -> object:
    """Returns the tree without its tensors, which go to `tensors`.

    Their number stands in their place.
    """
    if isinstance(value, Tensor):
        key = f"{len(tensors):06d}"
        # A copy: safetensors refuses tensors that share memory, as tied weights do.
        tensors[key] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": key}
    if isinstance(value, Mapping):
        return {
            "dict": [[_split(key, tensors), _split(item, tensors)] for key, item in value.items()]
        }
    if isinstance(value, tuple):
        return {"tuple": [_split(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_split(item, tensors) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no word for these.
        return {"float": str(value)}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise CheckpointError(
        f"state ({value!r}) must be made of dicts, lists, tensors, strings and numbers; got "
        f"{type(value).__name__}; keep such a value out of the state"
    )


def _join(tree: Any, tensors: Mapping[str, Tensor]) -> object:
    if isinstance(tree, list):
        return [_join(item, tensors) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "float" in tree:
        return float(tree["float"])
    if "tuple" in tree:
        return tuple(_join(item, tensors) for item in tree["tuple"])
    return {_join(key, tensors): _join(item, tensors) for key, item in tree["dict"]}


class ResumeStates(CheckpointIO):
    """Keeps the states that a training can resume from, newest last.

    Lightning saves and loads through it.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Keeps a state, then drops all but the newest ones.

        Args:
            checkpoint: What Lightning collected.
            path: Number of the optimizer step, as text.
            storage_options: Unused.
        """
        del storage_options
        content = pack_state(checkpoint)
        self.store.write(f"resume-{int(path):012d}-{sha256_bytes(content)}.safetensors", content)
        for name in self.list_names()[:-KEPT_STATES]:
            self.store.delete(name)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads a state by its name, and checks its digest."""
        del map_location, weights_only
        content = self._read_valid(str(path))
        if content is None:
            raise CheckpointError(
                f"resume state ({path}) must have the sha256 of its name; got other bytes; delete "
                "it: an older one is used then"
            )
        return cast(dict[str, Any], unpack_state(content))

    def read_manner(self, name: str) -> tuple[Precision, int | None]:
        """Returns the precision that a state was trained in, and the threads where it says them.

        Raises:
            CheckpointError: It does not say its precision.
        """
        state = self.load_checkpoint(name)
        found: Precision | None = state.get("precision")
        if found is None:
            raise CheckpointError(
                f"resume state ({name}) must say its precision; got one of an older Lepton; delete "
                "it to train again"
            )
        return found, state.get("threads")

    def remove_checkpoint(self, path: Any) -> None:
        """Deletes a state by its name."""
        self.store.delete(str(path))

    def list_names(self) -> list[str]:
        """Returns the names of all states, oldest first."""
        return sorted(name for name in self.store.listdir() if STATE_NAME.fullmatch(name))

    def find_newest(self) -> str | None:
        """Returns the name of the newest whole state; torn or altered ones are passed over."""
        return next(
            (name for name in reversed(self.list_names()) if self._read_valid(name) is not None),
            None,
        )

    def agree_on_newest(self) -> str | None:
        """Returns the name of the newest whole state of rank 0.

        Afterwards every rank finds it in its own store.

        Ranks of one machine share a store; those of another machine are given the state.
        """
        if not in_group():
            return self.find_newest()
        first = dist.get_rank() == 0
        name = tell_ranks((self.find_newest() or "").encode() if first else None).decode()
        if not name:
            return None
        lacking = self._read_valid(name) is None
        content = tell_ranks(self.store.read(name) if first else None)
        if lacking and os.environ.get("LOCAL_RANK", "0") == "0":
            self.store.write(name, content)
        dist.barrier()
        return name

    def clear(self) -> None:
        """Deletes every state: the training is over."""
        for name in self.list_names():
            self.store.delete(name)

    def _read_valid(self, name: str) -> bytes | None:
        match = STATE_NAME.fullmatch(name)
        try:
            content = self.store.read(name)
        except StorageError:
            return None
        return content if match and sha256_bytes(content) == match[2] else None


def pack_weights(weights: Mapping[str, Tensor], about: Mapping[str, object]) -> bytes:
    """Packs weights under their usual names.

    The metadata holds what is needed to build their network again.

    Equal weights give equal bytes: nothing of the time or the machine is kept.
    """
    tensors = {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in weights.items()
    }
    return save_tensors(tensors, metadata={"lepton": canonical_json(dict(about)).decode()})


def unpack_weights(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns weights by name, and what was noted about them.

    Raises:
        CheckpointError: The bytes are no checkpoint of Lepton's.
    """
    try:
        return load_tensors(content), json.loads(read_metadata(content)["lepton"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint ({len(content)} bytes) must be a safetensors file written by Lepton; got "
            f"{type(error).__name__}: {error}; restore it from a copy, or train again"
        ) from error


def copy_weights(module: torch.nn.Module) -> dict[str, Tensor]:
    """Copies the module's state to the CPU, detached from what training does next."""
    return {
        name: value.detach().to("cpu", copy=True) for name, value in module.state_dict().items()
    }
