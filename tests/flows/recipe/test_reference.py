"""The page of a recipe's settings says what the code does."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from flows import kinds
from flows.recipe.examples import EXAMPLES
from flows.recipe.load import load_recipe
from flows.recipe.reference import find_meanings, write_reference

PAGE = Path(__file__).parents[3] / "docs" / "recipe.md"


def test_page_is_what_the_code_says() -> None:
    assert (
        PAGE.read_text("utf-8") == write_reference()
    )  # else: python -m flows.recipe.reference docs/recipe.md


def test_every_section_and_bound_is_told() -> None:
    page = write_reference()
    for heading in (
        "### data, kind: series",
        "### train.augmentation",
        "### model.head.denoise",
        "## targets.<channel>",
    ):
        assert f"\n{heading}\n" in page
    assert (
        "| `max_epochs` | whole number ≥ 1, ≤ 100000 | `24` | Passes over the training rows. |"
        in page
    )
    assert "| `format` | `1` | must be given |" in page


class Described(BaseModel):
    """A section."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    first: int
    """The first,
    on two lines."""
    second: int = Field(default=0, description="One | other.")


class Extended(Described):
    """Nothing is said of its own field."""

    third: int


def test_meanings_are_the_descriptions() -> None:
    assert find_meanings(Described) == {
        "first": "The first, on two lines.",
        "second": r"One \| other.",
    }
    with pytest.raises(KeyError, match="third"):
        find_meanings(Extended)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_example_loads_and_is_of_its_kind(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(EXAMPLES[kind][1], "utf-8")
    assert load_recipe(str(path)).kind == kind


def test_every_kind_that_comes_with_lepton_has_an_example() -> None:
    written = Path(kinds.__file__).read_text("utf-8")
    assert set(EXAMPLES) == {name for name in kinds.KINDS if f'"{name}"' in written}
