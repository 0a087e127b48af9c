"""Pairs on a device: what a card may say, how a file is read, and how an answer is told."""

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.arrays import Raw, read_npy
from deployments.targets.run.forms.registry import READERS
from deployments.targets.run.objectives import ANSWERS, Output, Outputs, Teller
from deployments.targets.run.runtime import Answers
from deployments.targets.trust.card import InputSpec, OutputSpec
from deployments.targets.trust.card_rules import INPUT_RULES, OUTPUT_RULES, Claim, Recipe


def claim_pairs(spec: InputSpec, recipe: Recipe) -> list[Claim]:
    """List what a card says of pairs: two vectors of the recipe's size."""
    return [Claim("card's input shape", list(spec.shape), [2, recipe["data"]["size"]])]


def claim_order(outputs: tuple[OutputSpec, ...], recipe: Recipe) -> list[Claim]:
    """List what a card says of an order: the names of both sides, and a margin."""
    return [
        Claim("card's outputs", [output.meaning for output in outputs], ["label", "margin"]),
        Claim("card's labels", list(outputs[0].labels), list(recipe["data"]["labels"])),
    ]


def read_pairs(data: bytes, spec: InputSpec, where: str) -> Raw:
    """Read pairs (N, 2, size) from a .npy file."""
    values = read_npy(data, where)
    if values.shape[1:] != spec.shape:
        raise BadInput(f"input ({where}) must be of shape (N, {spec.shape}); got {values.shape}")
    return values.astype(spec.dtype)


def list_order(answers: Answers, row: int) -> Outputs:
    """List the larger side, and by how much it is larger."""
    margin = float(answers.values[row])
    larger = answers.outputs[0].labels[int(margin > 0)]
    return (
        Output(name="larger", value=larger, meaning="label"),
        Output(name="margin", value=margin, meaning="margin", unit=""),
    )


def say_order(outputs: Outputs) -> str:
    """Say the larger side."""
    return f"{outputs[0].value} is larger"


INPUT_RULES.register("pairs", claim_pairs)
OUTPUT_RULES.register("order", claim_order)
READERS.register("pairs", read_pairs)
ANSWERS.register("order", Teller(list_order, say_order))
