"""Builds a learner from a recipe's sections, and proves before any training that its parts fit each other."""

from typing import cast

import torch
from torch import nn

from lightning_modules.data.augment import Augmentation, JitterAugmentation
from lightning_modules.data.augment_natural import ImageAugmentation
from lightning_modules.errors import SpecError
from lightning_modules.heads.image import fit_image_head
from lightning_modules.heads.rows import InstanceNormalised, build_row_head, probe_features
from lightning_modules.networks.factory import build_network
from lightning_modules.networks.mirror import MirrorMean
from lightning_modules.objectives.answers import build_answer
from lightning_modules.specs.components import build_component, load_component
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.samples import ImageSample, RowSample
from lightning_modules.specs.training import LossSpec, TrainSpec
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
    """A learner with fresh weights, drawn from the spec's seed, or with those that it starts from.

    Raises:
        SpecError: A component cannot be built, or does not fit the samples.
    """
    torch.manual_seed(train.seed if train else 0)
    head, network = (
        _build_images(model, sample)
        if isinstance(sample, ImageSample)
        else _build_rows(model, sample)
    )
    frozen = apply_start(head, network, start) if start is not None else ()
    values = sample.objective != "classes"
    # A network that only answers needs no loss, and not the user's own one.
    loss = (
        train.loss
        if train
        else LossSpec(name="mse" if values else "cross_entropy", label_smoothing=0.0)
    )
    answer = build_answer(model, sample, loss)
    augmentation = build_augmentation(train, sample) if train else None
    if isinstance(augmentation, ImageAugmentation):
        _probe_small_images(network, augmentation.choose_size(0), sample.shape)
    return Learner(
        head,
        network,
        answer,
        train=train,
        total_steps=total_steps,
        augmentation=augmentation,
        frozen=frozen,
    )


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
            f"{smallest[0]} x {smallest[1]} "
            f"pixels, and from the network {type(error).__name__}: {error}; raise it, or choose a "
            "family that takes any size"
        ) from error
    finally:
        network.train(was_training)


def _build_images(model: ModelSpec, sample: ImageSample) -> tuple[nn.Module, nn.Module]:
    head = fit_image_head(
        model.head.normalise,
        sample.shape[0],
        mean=sample.mean,
        std=sample.std,
        value_range=sample.value_range,
    )
    network = build_network(model.network, sample.shape, sample.classes)
    return head, MirrorMean(network) if model.head.mirror else network


def _build_rows(model: ModelSpec, sample: RowSample) -> tuple[nn.Module, nn.Module]:
    head = build_row_head(model.head, sample)
    shape = probe_features(head, model.head.name, sample.shape)
    if sample.objective == "forecast" and (len(shape) != 2 or shape[1] < sample.forecast):
        raise SpecError(
            f"head ({model.head.name!r}) must give windows (L, C) of at least {sample.forecast} "
            "channels, those that are "
            f"forecast first; got {shape}; correct it"
        )
    outputs = (
        shape
        if sample.objective == "reconstruction"
        else OBJECTIVES.find(sample.objective).shape_output(sample)
    )
    network = build_network(model.network, shape, outputs, form=sample.form)
    if model.head.instance_norm:
        restored = (
            0
            if sample.objective in ("classes", "values")
            else sample.forecast or len(sample.numbers)
        )
        network = InstanceNormalised(network, len(sample.numbers), restored)
    return head, network


def build_augmentation(train: TrainSpec, sample: AnySample) -> Augmentation | None:
    """The augmentation that a recipe asks for; None for none.

    Raises:
        SpecError: It does not suit the samples, or cannot be built.
    """
    spec = train.augmentation
    is_image = isinstance(sample, ImageSample)
    name = spec.name or ("affine" if is_image else None)
    if not spec.enabled or name is None:
        return None
    if name in ("affine", "jitter") and (name == "affine") != is_image:
        wanted = "affine" if is_image else "jitter"
        raise SpecError(
            f"augmentation ({name!r}) must suit the samples; got {sample.form}; write {wanted}"
        )
    if isinstance(sample, ImageSample) and name == "affine":
        return ImageAugmentation(spec, train.seed, sample, train.max_epochs)
    if isinstance(sample, RowSample) and name == "jitter":
        return JitterAugmentation(spec, train.seed, [column.std for column in sample.numbers])
    builder = load_component(name, what="augmentation", known={})
    return cast(
        Augmentation, build_component(builder, spec, train.seed, what="augmentation", name=name)
    )
