"""Weights that are given with pictures: the network that they are of, its last layer drawn."""

import pytest
import torch
from safetensors.torch import save_file

from flows.drafting import NoDraft, draft_recipe
from flows.recipe.document import read_document
from flows.recipe.load import load_recipe
from lightning_modules.networks.factory import build_network
from lightning_modules.specs.model import NetworkSpec
from lightning_modules.specs.samples import ImageSample
from lightning_modules.training.build import build_learner
from lightning_modules.training.start_weights import read_start
from tests.tasks.drafting.test_pictures import write_pictures

PARAMS = {"blocks": [1, 2], "widths": [8, 16]}


def write_weights(path, shape=(3, 96, 96), **changes):
    network = build_network(NetworkSpec(family="resnet", params=PARAMS), shape, 1000)
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file({**tensors, **changes}, str(path))
    return path


@pytest.mark.parametrize(("count", "family"), [(40, "linear_probe"), (501, "resnet")])
def test_few_pictures_get_a_linear_probe_of_them_and_more_a_network_that_goes_on(
    tmp_path, count, family
):
    write_pictures(tmp_path / "pets", count=count, size=(8, 8))
    weights = write_weights(tmp_path / "resnet.safetensors")
    text = draft_recipe(str(tmp_path / "pets"), weights=str(weights)).text
    recipe = load_recipe(read_document(text).value)
    assert recipe.model.network.family == family
    assert recipe.model.network.params == {**PARAMS, "stem": "large"}
    start = recipe.train.start_from
    assert start.url == str(weights)
    assert start.fresh == ("fc",)
    sample = ImageSample(shape=recipe.data.image.shape, classes=2)
    given = read_start(weights.read_bytes(), start)
    learner = build_learner(recipe.model, sample, train=recipe.train, start=given)
    taken = learner.network.state_dict()["layer2.1.conv1.weight"]
    assert (taken == given.weights["layer2.1.conv1.weight"]).all()


def test_what_is_no_residual_network_of_basic_blocks_is_refused_with_the_remedy(tmp_path):
    write_pictures(tmp_path / "pets")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\x90\0\0\0\0\0\0\0{]")
    tensor = {"layer1.0.conv3.weight": torch.zeros(1)}
    deep = write_weights(tmp_path / "deep.safetensors", **tensor)
    for path, what in ((bad, "safetensors file that can be read"), (deep, "bottlenecks")):
        with pytest.raises(NoDraft, match=what) as told:
            draft_recipe(str(tmp_path / "pets"), weights=str(path))
        assert "such as resnet18" in str(told.value)
    with pytest.raises(NoDraft, match="safetensors file that can be read"):
        draft_recipe(str(tmp_path / "pets"), weights=str(tmp_path / "none"))


def test_weights_are_refused_beside_a_table_and_secrets_are_not_written(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{n},{n % 3}\n" for n in range(50)))
    with pytest.raises(NoDraft, match="no files of pictures"):
        draft_recipe(str(tmp_path / "a.csv"), weights="w.safetensors")
    write_pictures(tmp_path / "pets")
    with pytest.raises(NoDraft, match="without a secret") as told:
        draft_recipe(str(tmp_path / "pets"), weights="https://me:hunter2@host/w.safetensors")
    assert "hunter2" not in str(told.value)
