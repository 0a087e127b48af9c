"""Weights that are given with pictures: the network that they are of, its last layer drawn."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from flows.drafting import NoDraft, draft_recipe
from flows.recipe.document import read_document
from flows.recipe.load import load_recipe
from lightning_modules.networks.factory import build_network
from lightning_modules.specs.model import NetworkSpec
from lightning_modules.specs.samples import ImageSample
from lightning_modules.training.build import build_learner
from lightning_modules.training.start_weights import read_start
from tasks.drafting.guesses import DraftError
from tasks.drafting.weights import look_at_weights
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


@pytest.mark.parametrize(
    "header",
    [b"[" * 200_000, b'{"conv1.weight": {"shape": [1e999]}}', b"[]", b'{"a": 1}', b"\xff", b""],
    ids=["deep", "infinite", "list", "number", "no_utf8", "empty"],
)
def test_a_header_that_no_writer_writes_is_refused_by_name(tmp_path, header):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(DraftError, match=r"odd\.safetensors.*must be a safetensors file.*resnet18"):
        look_at_weights(str(path))


def test_weights_on_a_file_system_that_is_not_there_are_refused_by_name():
    with pytest.raises(DraftError, match="safetensors file that can be read"):
        look_at_weights("nowhere://bucket/resnet18.safetensors")


@pytest.mark.parametrize("deep", [True, False])
def test_grey_pictures_are_brought_to_the_channels_of_the_weights_but_no_bit_is_dropped(
    tmp_path, deep
):
    draws = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(40):
            pixels = draws.integers(0, 60_000 if deep else 255, (16, 16))
            picture = Image.fromarray(pixels.astype(np.uint16 if deep else np.uint8))
            picture.save(tmp_path / "pets" / label / f"{number}.png")
    weights = write_weights(tmp_path / "resnet.safetensors")
    if deep:
        with pytest.raises(NoDraft, match="one channel for grey pictures of 16 bits; got 3"):
            draft_recipe(str(tmp_path / "pets"), weights=str(weights))
        return
    draft = draft_recipe(str(tmp_path / "pets"), weights=str(weights)).draft
    assert draft.document["data"]["image"]["shape"][0] == 3
    told = [each.value for each in draft.guesses if each.what == "data.image"]
    assert told[-1] == f"shape {draft.document['data']['image']['shape']}"
