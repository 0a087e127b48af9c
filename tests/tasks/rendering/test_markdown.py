"""The Markdown of Prefect's artifacts: no string becomes markup."""

import re

from storage.base.figures import Figure
from storage.records.receipts import DatasetRecord
from tasks.rendering import markdown
from tasks.rendering.answers import Confusion
from tests.tasks.rendering.material import make_artifact, make_check, make_point, make_report

HOSTILE = "![x](http://e.vil/p.png) <img src=x> | `a` **b** www.e.vil\n# h"


def strip_markup(line: str) -> str:
    """The line without what is escaped: what is left is markup."""
    return re.sub(r"\\.|&#?\w+;", "", line)


def test_markdown_lets_no_string_become_markup() -> None:
    for rendered in (
        markdown.render_gate_markdown(
            make_report(
                make_check(
                    rule=HOSTILE,
                    about=HOSTILE,
                    observed=HOSTILE,
                    limit=HOSTILE,
                    passed=False,
                    message=HOSTILE,
                    rows=(HOSTILE,),
                ),
                stage=HOSTILE,
            )
        ),
        markdown.render_facts_markdown(HOSTILE, (HOSTILE,)),
        markdown.render_candidates_markdown(
            [make_artifact(HOSTILE, note=HOSTILE, chosen_for=(HOSTILE,), sha256=HOSTILE)]
        ),
        markdown.render_dataset_markdown(
            DatasetRecord(name=HOSTILE, number=1, digest=HOSTILE, manifest="", rows={HOSTILE: 3})
        ),
        markdown.render_confusion_markdown(
            Confusion(labels=(HOSTILE, "b"), counts=((1, 0), (0, 1)))
        ),
    ):
        left = strip_markup(rendered)
        assert not set("<>[]`!") & set(left), left
        assert "://" not in rendered
        assert "www.e" not in rendered
        tables = [line for line in left.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in tables}) <= 1, left


def test_a_question_has_one_link_and_lets_no_other_string_become_markup() -> None:
    figures = (Figure(name=HOSTILE, value=0.5, interval=(0.4, 0.6)),)
    rendered = markdown.render_question_markdown(
        HOSTILE, f"s3://there/{HOSTILE}", figures, {HOSTILE: figures}
    )
    left = strip_markup(rendered)
    (link,) = re.findall(r"<(.*)>", left)
    assert link.startswith("s3://there/")
    assert not set(" <>|`\n") & set(link)
    assert not set("<>[]`!") & set(left.replace(f"<{link}>", ""))
    assert "0.5 | 0.4 to 0.6" in rendered.replace("\\", "")


def test_gate_markdown_says_what_stopped_the_run() -> None:
    check = make_check(
        rule="expect_column_max_to_be_between",
        about="image max",
        observed=255,
        limit={"min_value": 0, "max_value": 16},
        passed=False,
        message="image max: observed 255",
        rows=("row 417",),
    )
    noted = check.model_copy(
        update={"about": "spread", "severity": "warn", "message": "spread: odd", "rows": ("row 9",)}
    )
    gate = make_report(noted, check)
    rendered = markdown.render_gate_markdown(gate, "s3://mine/reports/r1/gate-raw.html")
    assert rendered.startswith(
        "## Gate raw\n\n**red**: 0 of 2 checks passed\n\nFirst to fail: **image max**\n"
    )
    assert "First warning: **spread**" in rendered
    assert "- spread&#58; odd\n  - row 9\n" in rendered
    assert "drawn: s3&#58;//mine/reports/r1/gate\\-raw\\.html" in rendered
    assert "- image max&#58; observed 255\n  - row 417\n" in rendered
    assert "| image max | column max to be between | 255 | 0 to 16 | ✕ failed |" in rendered


def test_other_markdown() -> None:
    candidate = make_artifact("int8", validation_accuracy=0.97, chosen_for=("edge",))
    assert "97\\.00 % \\(validation\\)" in markdown.render_candidates_markdown([candidate])
    curve = [make_point(epoch, train_loss=1 / epoch) for epoch in range(1, 40)]
    training = markdown.render_training_markdown(curve, best_epoch=3)
    assert training.count("\n| ") == 15
    assert "| 3 \\(kept\\) |" in training
