"""What is drafted is read back as what was meant."""

from flows.recipe.document import read_document
from tasks.drafting.guesses import Guess
from tasks.drafting.writing import MOST_COLUMNS, write_flow, write_recipe

TRAPS = ["No", "yes", "on", "null", "~", "None", "1", "1.0", "0x1f", "1e3", "[°C]", "a: b", "#1"]
TRAPS += [
    "",
    " x ",
    "5 Minutes",
    "- a",
    "{a}",
    "a\nb",
    "\u2028",
    "é",
    "'q'",
    '"',
    "y",
    "=",
    "<<",
    "&a",
]


def test_every_text_stays_the_text_that_it_is():
    assert read_document(write_flow(TRAPS)).value == TRAPS
    keys = dict.fromkeys(set(TRAPS) - {"<<"}, 1)
    assert read_document(write_flow(keys)).value == keys
    values = [None, True, False, 3, -0.25, 1e-9]
    assert read_document(write_flow(values)).value == values


def test_comments_change_nothing_and_lines_stay_short():
    document = {
        "format": 1,
        "data": {"numbers": [f"column {n}" for n in range(60)], "missing": TRAPS},
        "gates": {"model": {"min_accuracy": 0.5, "min_skill": None}},
    }
    told = [
        Guess("data.numbers", "a\nkind: table", "sure", "x " * 200),
        Guess("gates.raw", "min_rows", "unknown", "few"),
        Guess("elsewhere.x", "1", "sure", "nowhere"),
    ]
    text = write_recipe(document, told, "An intro.")
    assert read_document(text).value == document
    assert max(map(len, text.splitlines())) <= MOST_COLUMNS
    assert "gates.raw: min_rows (unknown): few" in text
