"""Components in a file beside the recipe: found from anywhere, named by digest, carried along."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.errors import RecipeError
from flows.recipe.load import load_recipe, read_recipe
from flows.recipe.model import Recipe
from lightning_modules.specs.components import load_component
from storage.base.parts import PREFIX, import_own, locate_part

CODE = """
import torch

class Flat(torch.nn.Module):
    def __init__(self, *, input_shape, outputs):
        super().__init__()
        self.layer = torch.nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], outputs)

    def forward(self, image):
        return self.layer(image.flatten(1))

def keep_all(rows):
    return rows
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEPTON_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("LEPTON_PARTS", "")
    own = tmp_path / "own"
    own.mkdir()
    (own / "parts.py").write_text(CODE)
    text = read_recipe("digits").replace(
        "family: cnn, params: {widths: [16, 32, 64]}", "family: parts.py:Flat"
    )
    assert "parts.py:Flat" in text
    (own / "mine.yaml").write_text(text)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return own


def name_module(code: str) -> str:
    return PREFIX + hashlib.sha256(code.encode()).hexdigest()


def load(folder: Path, **overrides: object) -> Recipe:
    return load_recipe(str(folder / "mine.yaml"), overrides)


def test_a_file_beside_the_recipe_is_found_from_any_folder_and_named_by_its_digest(
    folder: Path,
) -> None:
    recipe = load(folder, **{"data.transform": "parts.py:keep_all"})
    module = name_module(CODE)
    assert recipe.document["model"]["network"]["family"] == f"{module}:Flat"
    assert recipe.document["data"]["transform"] == f"{module}:keep_all"
    assert recipe.parts == (module,)
    assert load_component(recipe.model.network.family, what="network", known={}).__name__ == "Flat"


def test_other_bytes_are_another_recipe(folder: Path) -> None:
    before = load(folder)
    (folder / "parts.py").write_text(CODE + "\n# changed\n")
    after = load(folder)
    assert before.digest != after.digest
    assert load(folder).digest == after.digest


def test_another_process_imports_it_without_the_recipe_s_folder(folder: Path) -> None:
    (module,) = load(folder).parts
    shutil.rmtree(folder)
    code = f"from storage.base.parts import import_own; print(import_own({module!r}).keep_all(7))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "7"


def test_a_recipe_that_was_read_before_is_read_again_without_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load(folder)
    shutil.rmtree(folder)
    monkeypatch.setenv("LEPTON_PARTS", "")
    assert load_recipe(recipe.document).digest == recipe.digest
    assert locate_part(recipe.parts[0]) is not None


def test_a_copy_with_other_bytes_is_not_imported(folder: Path) -> None:
    (folder / "parts.py").write_text(CODE + "\n# once\n")
    recipe = load_recipe(read := str(folder / "mine.yaml"), {"train.seed": 3})
    path = locate_part(recipe.parts[0])
    assert path is not None, read
    path.write_text("import os\n")
    sys.modules.pop(recipe.parts[0], None)
    with pytest.raises(ImportError, match="other bytes"):
        import_own(recipe.parts[0])


@pytest.mark.parametrize("name", ["gone.py:Flat", "parts.py:Gone"])
def test_what_is_not_there_is_told_at_its_place(folder: Path, name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(folder, **{"model.network.family": name})
    fault = next(each for each in caught.value.faults if each.path == "model.network.family")
    assert fault.remedy
