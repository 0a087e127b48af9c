"""Weights that a network starts from: a model's, or those of any safetensors file with the network's names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from lightning_modules.checkpoint import read_metadata
from lightning_modules.errors import CheckpointError, SpecError
from lightning_modules.train_specs import StartSpec

NETWORK = "network."
COUNTER = "num_batches_tracked"
"""Read by no normalisation that has a momentum; some files have it, some have not."""
MOST_NAMED = 5


@dataclass(frozen=True)
class Start:
    """Weights with what a recipe says about them.

    Attributes:
        weights: By their names in the network.
        spec: Which parts are drawn, and which stay.
    """

    weights: Mapping[str, Tensor]
    spec: StartSpec


def read_start(content: bytes, spec: StartSpec) -> Start:
    """The weights of a safetensors file; of one of Lepton's checkpoints the network's, without head and answer.

    Raises:
        CheckpointError: The bytes are no such file.
    """
    try:
        tensors = load_tensors(content)
        own = "lepton" in read_metadata(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"train.start_from must name a safetensors file; got {len(content)} bytes of something else: {error}; convert "
            "it with safetensors.torch.save_file"
        ) from error
    return Start({bare(name): value for name, value in tensors.items() if not own or name.startswith(NETWORK)}, spec)


def bare(name: str) -> str:
    """A tensor's name without what lies around the network: mirror images, normalised windows."""
    while name.startswith(NETWORK):
        name = name.removeprefix(NETWORK)
    return name


def is_part(name: str, parts: Iterable[str]) -> bool:
    """Whether a name is one of the parts, or lies in one."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def apply_start(network: nn.Module, start: Start) -> tuple[nn.Module, ...]:
    """Puts weights into a network, and freezes what is to stay.

    Args:
        network: Of drawn weights; changed.
        start: The weights.

    Returns:
        The modules that stay as they are, also in training: their normalisation must not drift either.

    Raises:
        SpecError: A tensor is absent, left over, of another shape or not finite, and no part of `fresh`; a part is not in
            the network; nothing is left to learn.
    """
    spec, own = start.spec, {bare(name): value for name, value in network.state_dict().items()}
    for key, parts in {"fresh": spec.fresh, "freeze": spec.freeze}.items():
        if unknown := [part for part in parts if not any(is_part(name, [part]) for name in own)]:
            raise SpecError(
                f"train.start_from.{key} ({', '.join(unknown)}) must name parts of the network; got none of that name; "
                f"choose among {', '.join(_list_parts(own))}, or parts of these"
            )
    wanted = {name: value for name, value in own.items() if not is_part(name, spec.fresh) and not _is_counter(name)}
    faults = list(_find_misfits(wanted, start))
    if faults or not wanted:
        shown = "; ".join(fault for _, fault in faults[:MOST_NAMED]) or "no tensor that is to be taken"
        more = f" and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
        misfits = ", ".join(_list_parts(name for name, _ in faults)) or "less"
        raise SpecError(
            f"train.start_from must hold the weights of this network; got: {shown}{more}; choose the network that they "
            f"were trained in, or name what is to be drawn, fresh: [{misfits}]"
        )
    with torch.no_grad():
        for name, value in wanted.items():
            value.copy_(start.weights[name])
    return _freeze(network, spec.freeze)


def _is_counter(name: str) -> bool:
    return name.rpartition(".")[2] == COUNTER


def _list_parts(names: Iterable[str]) -> list[str]:
    """The first words of names, each once."""
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def _find_misfits(wanted: Mapping[str, Tensor], start: Start) -> Iterator[tuple[str, str]]:
    """Name of each tensor that cannot be taken, and why."""
    for name, value in wanted.items():
        found = start.weights.get(name)
        if found is None:
            yield name, f"{name} is absent"
        elif found.shape != value.shape:
            yield name, f"{name} has the shape {tuple(found.shape)} instead of {tuple(value.shape)}"
        elif not torch.isfinite(found).all():
            yield name, f"{name} is not finite"
    for name in start.weights:
        if name not in wanted and not is_part(name, start.spec.fresh) and not _is_counter(name):
            yield name, f"{name} has no place in the network"


def _freeze(network: nn.Module, parts: tuple[str, ...]) -> tuple[nn.Module, ...]:
    for name, value in network.named_parameters():
        if is_part(bare(name), parts):
            value.requires_grad = False
    if not any(value.requires_grad for value in network.parameters()):
        raise SpecError(
            f"train.start_from.freeze ({', '.join(parts)}) must leave something to learn; got all of the network; name "
            "fewer parts"
        )
    return tuple(module for name, module in network.named_modules() if is_part(bare(name), parts))
