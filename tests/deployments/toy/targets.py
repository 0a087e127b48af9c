"""What a device needs to know of bells: how a file is read, an answer told, a card held."""

import numpy as np

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.registry import READERS
from deployments.targets.run.objectives import ANSWERS, Output, Teller
from deployments.targets.trust.card_rules import INPUT_RULES, OUTPUT_RULES, Claim


def read_bells(data, spec, where):
    """Read a text file of strokes, one letter each."""
    text = data.decode().strip()
    if len(text) != spec.shape[0]:
        raise BadInput(f"input ({where}) must hold {spec.shape[0]} strokes; got {len(text)}")
    alphabet = spec.details["alphabet"]
    return np.array([[alphabet.index(letter) for letter in text]], dtype=spec.dtype)


def list_peal(answers, row):
    """List how loud and how long a peal is."""
    loud, long = (float(answers.arrays[name][row]) for name in ("loud", "long"))
    return (
        Output(name="loud", value=loud, meaning="level", unit="dB"),
        Output(name="long", value=long, meaning="time", unit="s"),
    )


READERS.register("bells", read_bells)
ANSWERS.register(
    "peal", Teller(list_peal, lambda said: f"{said[0].value:.1f} dB for {said[1].value:.1f} s")
)
INPUT_RULES.register(
    "bells",
    lambda spec, recipe: [
        Claim("card's alphabet", spec.details["alphabet"], recipe["data"]["alphabet"])
    ],
)
OUTPUT_RULES.register(
    "peal",
    lambda outputs, recipe: [
        Claim("card's outputs", [output.meaning for output in outputs], ["level", "time"])
    ],
)
