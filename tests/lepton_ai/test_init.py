"""`import lepton_ai` is the one import surface, and costs nothing until it is used."""

import subprocess
import sys

import pytest

import lepton_ai

HEAVY = {"torch", "prefect", "dask", "zarr", "great_expectations", "pandas", "pydantic", "numpy"}


def execute(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_it_imports_nothing_else() -> None:
    code = f"import sys, lepton_ai; dir(lepton_ai); print({HEAVY} & set(sys.modules))"
    assert execute(code) == "set()"


def test_every_name_is_what_it_says() -> None:
    from flows.errors import GateStopped
    from flows.lifecycle import lifecycle
    from flows.recipe.load import load_recipe
    from flows.recipe.model import Recipe
    from lepton_ai.client.async_client import AsyncClient
    from lepton_ai.client.client import Client
    from storage.records.receipts import Receipt

    found = {name: getattr(lepton_ai, name) for name in lepton_ai.__all__}
    assert found == {
        "AsyncClient": AsyncClient,
        "Client": Client,
        "GateStopped": GateStopped,
        "Receipt": Receipt,
        "Recipe": Recipe,
        "load_recipe": load_recipe,
        "run": lifecycle,
    }
    assert set(lepton_ai.__all__) <= set(dir(lepton_ai))


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'serve'"):
        lepton_ai.serve  # noqa: B018


def test_an_absent_package_says_which_extra_brings_it() -> None:
    code = """
import sys
sys.modules["prefect"] = None
import lepton_ai
lepton_ai.Receipt, lepton_ai.GateStopped
try:
    lepton_ai.run
except ImportError as error:
    print(error.name, error)
"""
    said = execute(code)
    assert said.startswith("prefect lepton_ai.run must have the platform's packages")
    assert "pip install 'lepton-ai[platform]'" in said
