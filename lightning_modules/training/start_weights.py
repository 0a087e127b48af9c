"""Weights that a network starts from.

They are a model's, or those of any safetensors file with the network's names.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from lightning_modules.errors import CheckpointError, SpecError
from lightning_modules.specs.start import StartSpec
from lightning_modules.training.checkpoint import read_metadata

NETWORK = "network."
HEAD = "head."
COUNTER = "num_batches_tracked"
"""Read by no normalisation that has a momentum; some files have it, some have not."""
MOST_NAMED = 5


@dataclass(frozen=True)
class Start:
    """Weights with what a recipe says about them.

    Attributes:
        weights: By their names in the network.
        spec: Which parts are drawn, and which stay.
        head: Of one of Lepton's checkpoints what its head held, by names that begin with `head.`.
    """

    weights: Mapping[str, Tensor]
    spec: StartSpec
    head: Mapping[str, Tensor] = field(default_factory=dict)


def read_start(content: bytes, spec: StartSpec) -> Start:
    """Reads the weights of a safetensors file.

    Of one of Lepton's checkpoints it takes network and head, without the answer.

    Raises:
        CheckpointError: The bytes are no such file.
    """
    try:
        tensors = load_tensors(content)
        own = "lepton" in read_metadata(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"train.start_from must name a safetensors file; got {len(content)} bytes of something "
            f"else: {error}; convert it with safetensors.torch.save_file"
        ) from error
    head = {name: value for name, value in tensors.items() if own and name.startswith(HEAD)}
    return Start(
        {
            bare(name): value
            for name, value in tensors.items()
            if not own or name.startswith(NETWORK)
        },
        spec,
        head,
    )


def bare(name: str) -> str:
    """Returns a tensor's name without what lies around the network.

    Mirror images and normalised windows do.
    """
    while name.startswith(NETWORK):
        name = name.removeprefix(NETWORK)
    return name


def is_part(name: str, parts: Iterable[str]) -> bool:
    """Tells whether a name is one of the parts, or lies in one."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def apply_start(head: nn.Module, network: nn.Module, start: Start) -> tuple[nn.Module, ...]:
    """Puts weights into a network and what its head learns, and freezes what is to stay.

    What a head has fitted to the training rows at hand is no weight, and stays as it is.

    Args:
        head: As built; what it learns is changed.
        network: Of drawn weights; changed.
        start: The weights.

    Returns:
        The modules that stay as they are, also in training: their normalisation must not drift
        either.

    Raises:
        SpecError: A tensor is absent, left over, of another shape or type or not finite, and no
            part of `fresh`; a part is not in the network; nothing is left to learn.
    """
    spec, own = start.spec, {bare(name): value for name, value in network.state_dict().items()}
    learned = {f"{HEAD}{name}": value for name, value in head.named_parameters()}
    given = {**start.weights, **{name: start.head[name] for name in learned if name in start.head}}
    own |= learned
    for key, parts, names in (
        ("fresh", spec.fresh, [*own, *given]),
        ("freeze", spec.freeze, [*own]),
    ):
        if unknown := [part for part in parts if not any(is_part(name, [part]) for name in names)]:
            raise SpecError(
                f"train.start_from.{key} ({', '.join(unknown)}) must name parts of the network; "
                f"got none of that name; choose among {', '.join(_list_parts(own))}, or parts of "
                "these"
            )
    wanted = {
        name: value
        for name, value in own.items()
        if not is_part(name, spec.fresh) and not _is_counter(name)
    }
    faults = list(_find_misfits(wanted, given, spec))
    if faults or not wanted:
        shown = (
            "; ".join(fault for _, fault in faults[:MOST_NAMED]) or "no tensor that is to be taken"
        )
        more = f" and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
        misfits = ", ".join(_list_parts(name for name, _ in faults)) or "less"
        raise SpecError(
            f"train.start_from must hold the weights of this network; got: {shown}{more}; choose "
            "the network that they were trained in, or name what is to be drawn, fresh: "
            f"[{misfits}]"
        )
    with torch.no_grad():
        for name, value in wanted.items():
            value.copy_(given[name])
    return _freeze(head, network, spec.freeze)


def _is_counter(name: str) -> bool:
    return name.rpartition(".")[2] == COUNTER


def _list_parts(names: Iterable[str]) -> list[str]:
    """Returns the first words of names, each once."""
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def _find_misfits(
    wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], spec: StartSpec
) -> Iterator[tuple[str, str]]:
    """Yields the name of each tensor that cannot be taken, and why."""
    for name, value in wanted.items():
        found = given.get(name)
        if found is None:
            yield name, f"{name} is absent"
        elif found.shape != value.shape:
            yield name, f"{name} has the shape {tuple(found.shape)} instead of {tuple(value.shape)}"
        elif found.is_floating_point() != value.is_floating_point():
            # Whole numbers are quantised weights, whose scale lies elsewhere.
            yield name, f"{name} holds {_name_type(found)} instead of {_name_type(value)}"
        elif not torch.isfinite(found.to(value.dtype)).all():
            yield name, f"{name} is not finite"
    for name in given:
        if name not in wanted and not is_part(name, spec.fresh) and not _is_counter(name):
            yield name, f"{name} has no place in the network"


def _name_type(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _freeze(head: nn.Module, network: nn.Module, parts: tuple[str, ...]) -> tuple[nn.Module, ...]:
    parameters = {f"{HEAD}{name}": value for name, value in head.named_parameters()}
    parameters |= {bare(name): value for name, value in network.named_parameters()}
    for name, value in parameters.items():
        if is_part(name, parts):
            value.requires_grad = False
    if not any(value.requires_grad for value in parameters.values()):
        raise SpecError(
            f"train.start_from.freeze ({', '.join(parts)}) must leave something to learn; got all "
            "of the network; name fewer parts"
        )
    modules = [(f"{HEAD}{name}".rstrip("."), module) for name, module in head.named_modules()]
    modules += [(bare(name), module) for name, module in network.named_modules()]
    return tuple(module for name, module in modules if is_part(name, parts))
