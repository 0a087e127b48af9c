"""A linear probe: what lies below its last layer stays, and that layer is logistic regression."""

import copy

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from lightning_modules.heads.mirror import MirrorMean
from lightning_modules.networks.factory import build_network
from lightning_modules.networks.probe import LinearProbe, choose_strength
from lightning_modules.specs.model import NetworkSpec
from lightning_modules.training.at_once import find_fitting

PARAMS = {"blocks": [1, 1], "widths": [8, 16]}


def make_probe(outputs: int = 2) -> LinearProbe:
    torch.manual_seed(0)
    spec = NetworkSpec(family="linear_probe", params=PARAMS)
    network = build_network(spec, (3, 16, 16), outputs).eval()
    assert isinstance(network, LinearProbe)
    return network


def draw_stripes(rows: int) -> tuple[Tensor, Tensor]:
    """Images of noise with stripes that lie or stand."""
    draw = torch.Generator().manual_seed(1)
    labels = torch.arange(rows) % 2
    stripes = (torch.arange(16) // 2 % 2).float()
    lying = stripes[:, None].expand(16, 16)
    pattern = torch.where(labels[:, None, None] == 1, lying, lying.T)
    return torch.randn(rows, 3, 16, 16, generator=draw) + pattern[:, None], labels


def test_only_the_last_layer_is_fitted_and_it_tells_classes_apart() -> None:
    network = make_probe()
    before = copy.deepcopy(network.state_dict())
    images, labels = draw_stripes(160)
    fit = find_fitting(network)
    assert fit is not None
    with torch.no_grad():
        fit(images[:120], labels[:120], torch.ones(120))
        right = network(images[120:]).argmax(1) == labels[120:]
    changed = {
        name for name, value in network.state_dict().items() if (value != before[name]).any()
    }
    assert changed == {"fc.weight", "fc.bias"}
    assert right.float().mean() > 0.85


def test_it_answers_as_logistic_regression_of_its_features_in_standard_deviations() -> None:
    network = make_probe(3)
    images, _ = draw_stripes(90)
    labels = (torch.arange(90) // 2) % 3
    images[:, 0] += labels[:, None, None]
    with torch.no_grad():
        network.fit_rows(images, labels, torch.ones(90))
        seen = network.embed(images).double()
        answers = network(images).softmax(1)
    rows = (seen - seen.mean(0)) / seen.std(0, correction=0)
    strength = choose_strength(rows, labels, torch.ones(90))
    other = LogisticRegression(C=strength, max_iter=1000).fit(rows.numpy(), labels.numpy())
    assert answers.numpy() == pytest.approx(other.predict_proba(rows.numpy()), abs=1e-3)


def test_features_of_noise_get_a_strong_penalty_and_it_is_fitted_under_mirror_images() -> None:
    noise = torch.randn(80, 30, generator=torch.Generator().manual_seed(2)).double()
    labels = torch.arange(80) % 2
    assert choose_strength(noise, labels, torch.ones(80)) <= 0.01
    assert find_fitting(MirrorMean(make_probe())) is not None
