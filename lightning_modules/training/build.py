"""Builds a learner from a recipe's sections, and proves that its parts fit each other."""

import torch
from torch import nn

from lightning_modules.data.augment_natural import ImageAugmentation
from lightning_modules.data.augmentations import build_augmentation
from lightning_modules.errors import SpecError
from lightning_modules.heads.registry import HEADS
from lightning_modules.networks.factory import answers_once, build_network
from lightning_modules.networks.fitted import FittedNetwork
from lightning_modules.objectives.registry import OBJECTIVES
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.at_once import find_fitting
from lightning_modules.training.learner import Learner
from lightning_modules.training.start_weights import Start, apply_start


def build_learner(
    model: ModelSpec,
    sample: AnySample,
    *,
    train: TrainSpec | None = None,
    total_steps: int = 1,
    start: Start | None = None,
) -> Learner:
    """Returns a learner with weights drawn from the spec's seed, or with those it starts from.

    Raises:
        SpecError: A component cannot be built, or does not fit the samples.
    """
    torch.manual_seed(train.seed if train else 0)
    head, network = build_parts(model, sample)
    if find_fitting(network) is not None and not takes_start(network):
        start = None  # What is fitted at once has nothing to start from.
    frozen = apply_start(head, network, start) if start is not None else ()
    objective = OBJECTIVES.find(sample.objective)
    answer = objective.build_answer(
        model, sample, train.loss if train else objective.default_loss()
    )
    augmentation = build_augmentation(train, sample) if train else None
    if isinstance(augmentation, ImageAugmentation):
        _probe_small_images(network, augmentation.choose_size(0), sample.shape)
    return Learner(
        head,
        network,
        answer,
        sample,
        train=train,
        total_steps=total_steps,
        augmentation=augmentation,
        frozen=frozen,
    )


def build_parts(model: ModelSpec, sample: AnySample) -> tuple[nn.Module, nn.Module]:
    """Returns head and network for a sample, drawn from torch's current seed.

    Raises:
        SpecError: One of them cannot be built, or they do not fit each other.
    """
    form, objective = HEADS.find(sample.form), OBJECTIVES.find(sample.objective).spec
    head = form.build_head(model.head, sample)
    shape = form.shape_input(form.measure_features(head, model.head, sample), sample)
    once, asked = answers_once(model.network.family, sample.form), sample
    if once:  # Around one answer the calibration lays all quantiles.
        asked = sample.model_copy(update={"quantiles": ()})
    outputs = objective.shape_output(asked)
    network = build_network(
        model.network,
        shape,
        shape if outputs is None else outputs,
        form=sample.form,
        lead=sample.window.lead if sample.window is not None else 0,
    )
    restores = objective.restores
    return head, form.wrap_network(network, model.head, asked, restores=restores, once=once)


def takes_start(network: nn.Module) -> bool:
    """Tells whether a network that is fitted at once keeps weights that it is given below that."""
    fitted = (module for module in network.modules() if isinstance(module, FittedNetwork))
    return any(module.takes_start for module in fitted)


def _probe_small_images(
    network: nn.Module, smallest: tuple[int, int], shape: tuple[int, ...]
) -> None:
    """Proves before training that the network takes the smallest images that it will be given."""
    if smallest == shape[1:]:
        return
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(2, shape[0], *smallest))
    except RuntimeError as error:
        raise SpecError(
            "train.augmentation.small_from must leave images that the network takes; got "
            f"{smallest[0]} x {smallest[1]} pixels, and from the network {type(error).__name__}: "
            f"{error}; raise it, or choose a family that takes any size"
        ) from error
    finally:
        network.train(was_training)
