"""Every answer once, whatever comes, in whatever order, however often; what cannot be trusted is
named and never read.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.trust.devices import revoke_device
from deployments.targets.trust.receipt_signer import make_private_pem, make_signer
from deployments.targets.trust.sealed import seal_body
from deployments.targets.trust.uplink import UPLINKS
from storage.base.errors import Conflict, InvalidInput
from storage.base.store import sha256_bytes
from storage.datasets.dataset import Dataset
from storage.forms.registry import FORMS
from storage.shards.row_ids import CONTENT_HASH, ROW_ID, hash_member_ids
from tasks.feedback.collect import Gathered
from tasks.feedback.ledger import Ledger, Truth, read_ledger
from tasks.feedback.rows import ANSWER_ID, TruthField
from tasks.feedback.truths import import_truths, parse_truths, write_truth_file
from tests.tasks.feedback.made import DIGITS, Made, make, make_images

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("digits"), DIGITS)


@pytest.fixture
def made(origin: Made, tmp_path: Path) -> Made:
    """A copy with the same receipts and rows, in which nothing has come back."""
    import shutil

    from storage.base.store import Store

    shutil.copytree(origin.store.url, tmp_path / "workspace")
    return Made(Store(tmp_path / "workspace"), origin.recipe, origin.model_id)


def read_labels(made: Made) -> dict[str, int]:
    """The label of each answer; -1 where it has none."""
    rows = made.version.read()
    labels = np.where(rows["label__valid"], rows["label"], -1)
    return dict(zip(rows[ANSWER_ID].tolist(), labels.tolist(), strict=True))


def tell(gathered: Gathered, name: str) -> list[str]:
    return [each.detail for each in gathered.findings if each.name == name]


def test_answers_become_rows_that_are_named_after_them(made: Made) -> None:
    device, images = made.device(), make_images(5)
    _, ids = device.send(images, made.model_id)
    gathered = made.collect()
    assert gathered.collected == 5
    assert gathered.dataset is not None
    rows = made.version.read()
    assert rows[ANSWER_ID].tolist() == ids == [f"d1:{number}" for number in range(1, 6)]
    np.testing.assert_array_equal(rows[ROW_ID], hash_member_ids(ids))
    np.testing.assert_array_equal(rows["image"], images)
    assert not rows["label__valid"].any()


def test_nothing_new_changes_nothing(made: Made) -> None:
    device = made.device()
    device.send(make_images(5), made.model_id)
    first, again = made.collect(), made.collect()
    assert (first.collected, again.collected) == (5, 0)
    assert again.dataset == first.dataset


def test_nothing_at_all_is_no_version(made: Made) -> None:
    gathered = made.collect()
    assert (gathered.dataset, gathered.collected, gathered.findings) == (None, 0, ())


def test_an_answer_that_comes_again_in_another_batch_stays_one(made: Made) -> None:
    device, images = made.device(), make_images(6)
    device.send(images[:4], made.model_id)
    made.collect()
    device.last = 0
    device.send(images, made.model_id)
    gathered = made.collect()
    assert gathered.collected == 2
    assert sorted(read_labels(made)) == [f"d1:{number}" for number in range(1, 7)]
    assert "4 answers are known" in tell(gathered, "answers that came twice")[0]


@pytest.mark.parametrize("order", ["truth first", "answer first", "at once", "in one batch"])
def test_a_truth_finds_its_answer_whichever_comes_first(made: Made, order: str) -> None:
    device, images = made.device(), make_images(3)
    if order == "in one batch":
        device.send(images, made.model_id, truths=[("d1:2", "7")])
    elif order == "truth first":
        write_truth_file(made.store, "serve-1", [("d1:2", "7")])
        assert made.collect().collected == 0
        device.send(images, made.model_id)
    else:
        device.send(images, made.model_id)
        if order == "answer first":
            made.collect()
        device.tell(("d1:2", "7"))
    made.collect()
    assert read_labels(made) == {"d1:1": -1, "d1:2": 7, "d1:3": -1}


def test_the_last_truth_counts_and_both_are_kept(made: Made) -> None:
    device = made.device()
    device.send(make_images(2), made.model_id)
    device.tell(("d1:1", "3"), at=NOON)
    made.collect()
    device.tell(("d1:1", "4"), at=NOON + timedelta(hours=1))
    gathered = made.collect()
    assert read_labels(made)["d1:1"] == 4
    assert tell(gathered, "truths replaced")
    ledger = read_ledger(made.store, "digits", made.version)
    assert [truth.truth for truth in ledger.truths] == ["3", "4"]
    # One that was said before, and came late, replaces nothing.
    device.tell(("d1:1", "5"), at=NOON - timedelta(hours=1))
    made.collect()
    assert read_labels(made)["d1:1"] == 4


def test_a_label_changes_neither_id_nor_hash(made: Made) -> None:
    made.device().send(make_images(3), made.model_id)
    made.collect()
    before = made.version.read(fields=(ROW_ID, CONTENT_HASH))
    write_truth_file(made.store, "serve-1", [("d1:1", "3"), ("d1:3", "9")])
    made.collect()
    after = made.version.read(fields=(ROW_ID, CONTENT_HASH, "label"))
    assert after.pop("label").tolist() == [3, -1, 9]
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])


def test_truths_of_unknown_answers_are_kept_and_told(made: Made) -> None:
    device = made.device()
    device.send(make_images(1), made.model_id)
    write_truth_file(made.store, "serve-1", [("d1:2", "3"), ("serve-1:9", "4")])
    assert "2; they are kept" in tell(made.collect(), "truths of unknown answers")[0]
    device.send(make_images(1), made.model_id)
    made.collect()
    assert read_labels(made) == {"d1:1": -1, "d1:2": 3}


@pytest.mark.parametrize("truth", ["ten", 11, None, {"label": 3}, ["3"], ""])
def test_a_truth_that_is_no_class_is_told_and_not_taken(made: Made, truth: Any) -> None:
    made.device().send(make_images(1), made.model_id)
    write_truth_file(made.store, "serve-1", [("d1:1", truth)])
    gathered = made.collect()
    assert read_labels(made) == {"d1:1": -1}
    assert "must be one of 0, 1" in tell(gathered, "truth that cannot be one")[0]


def test_a_truth_may_be_the_number_that_a_class_is_named(made: Made) -> None:
    made.device().send(make_images(1), made.model_id)
    write_truth_file(made.store, "serve-1", [("d1:1", 7)])
    made.collect()
    assert read_labels(made) == {"d1:1": 7}


def spoil(made: Made, name: str, how: str) -> None:
    path = Path(made.store.url) / UPLINKS / name
    data = bytearray(path.read_bytes())
    if how == "altered":
        data[-1] ^= 1
        path.write_bytes(data)
    elif how == "cut":
        path.write_bytes(data[:-7])
    elif how == "renamed":
        path.rename(path.with_name(path.name.replace("1-", "2-", 1)))
    elif how == "revoked":
        revoke_device(made.store, "d1")
    elif how == "unknown":
        (Path(made.store.url) / "devices/d1.json").unlink()


@pytest.mark.parametrize("how", ["altered", "cut", "renamed", "revoked", "unknown"])
def test_what_cannot_be_trusted_is_named_and_never_read(made: Made, how: str) -> None:
    device, other = made.device(), made.device("d2")
    name, _ = device.send(make_images(3), made.model_id, truths=[("d1:1", "3")])
    other.send(make_images(2, seed=1), made.model_id)
    spoil(made, name, how)
    gathered = made.collect()
    assert gathered.collected == 2
    assert set(read_labels(made)) == {"d2:1", "d2:2"}
    assert tell(gathered, "refused")[0].startswith("d1/")
    assert not read_ledger(made.store, "digits", made.version).truths
    # It is told every time, and never becomes trusted by being seen often.
    assert tell(made.collect(), "refused")


def test_what_was_read_before_a_device_was_revoked_stays(made: Made) -> None:
    device = made.device()
    device.send(make_images(3), made.model_id, truths=[("d1:1", "3")])
    made.collect()
    revoke_device(made.store, "d1")
    device.send(make_images(3, seed=1), made.model_id)
    gathered = made.collect()
    assert (gathered.collected, len(tell(gathered, "refused"))) == (0, 1)
    assert read_labels(made)["d1:1"] == 3


def test_a_device_speaks_for_its_own_answers_only(made: Made) -> None:
    made.device("d2").send(make_images(1), made.model_id)
    made.device().send(make_images(1), made.model_id, truths=[("d2:1", "3"), ("d1:1", "4")])
    gathered = made.collect()
    assert read_labels(made) == {"d1:1": 4, "d2:1": -1}
    assert "d1 told a truth of d2:1" in tell(gathered, "truth of another's answer")[0]


def test_truths_that_nobody_trusted_signed_are_refused(made: Made) -> None:
    made.device().send(make_images(1), made.model_id)
    body = {
        "format": 1,
        "node": "serve-1",
        "at": NOON.isoformat(),
        "truths": [{"answer_id": "d1:1", "truth": "3"}],
    }
    content = seal_body(body, make_signer(make_private_pem(), "a stranger"))
    made.store.write(f"{UPLINKS}/serve-1/truth-{sha256_bytes(content)}.json", content)
    gathered = made.collect()
    assert read_labels(made) == {"d1:1": -1}
    assert "signed by one of" in tell(gathered, "refused")[0]


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"node": "serve-2"}, {"truths": 3}, {"more": 1}, {"at": "never"}]
)
def test_truths_of_another_format_are_refused(made: Made, change: dict[str, Any]) -> None:
    from deployments.targets.trust.keys import KeyRing

    made.device().send(make_images(1), made.model_id)
    body = {"format": 1, "node": "serve-1", "at": NOON.isoformat(), "truths": [], **change}
    content = seal_body(body, KeyRing().receipt_signer())
    made.store.write(f"{UPLINKS}/serve-1/truth-{sha256_bytes(content)}.json", content)
    assert tell(made.collect(), "refused")


def test_a_model_that_nobody_here_promoted_is_refused(made: Made) -> None:
    made.device().send(make_images(1), "f" * 64)
    assert "promoted in this workspace" in tell(made.collect(), "refused")[0]


def test_answers_of_another_recipe_are_left_to_it(made: Made) -> None:
    other = make(Path(made.store.url), DIGITS | {"name": "others"}, "b")
    made.device().send(make_images(2), other.model_id)
    made.device("d2").send(make_images(1, seed=1), made.model_id)
    assert made.collect().collected == 1
    assert other.collect().collected == 2
    assert (made.collect().collected, other.collect().collected) == (0, 0)


def test_what_does_not_fit_the_data_section_is_counted_and_not_taken(made: Made) -> None:
    made.device().send(make_images(3), made.model_id)
    made.device("d2").send(make_images(2).astype(np.float32), made.model_id)
    gathered = made.collect()
    assert (gathered.collected, gathered.misfits) == (3, 2)
    assert "as data.image says" in tell(gathered, "batch that does not fit")[0]


def test_a_truth_in_a_batch_that_does_not_fit_is_told_once(made: Made) -> None:
    made.device().send(make_images(3), made.model_id)
    odd = make_images(2).astype(np.float32)
    made.device("d2").send(odd, made.model_id, truths=[("d2:1", "3")])
    first, again = made.collect(), made.collect()
    assert again.dataset == first.dataset
    assert len(read_ledger(made.store, "digits", made.version).truths) == 1


def test_a_form_that_cannot_take_rows_back_says_so(made: Made) -> None:
    assert "image" in FORMS
    from tasks.forms.base import TaskForm

    class Own(TaskForm[Any, Any]):
        describe_sample = describe_input = open_reader = None  # type: ignore[assignment]

    with pytest.raises(InvalidInput, match="read_inputs"):
        Own().read_inputs(make_images(1), made.model.input, made.recipe.data)


def test_a_call_that_was_lost_before_its_commit_is_made_up_for(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.device().send(make_images(4), made.model_id, truths=[("d1:1", "3")])
    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "commit", _fail)
        with pytest.raises(Conflict):
            made.collect()
    assert Dataset(made.store, "digits-feedback").latest() is None
    assert made.collect().collected == 4
    assert read_labels(made)["d1:1"] == 3


def _fail(*_: Any, **__: Any) -> None:
    raise Conflict("killed")


def test_the_order_in_which_files_are_read_does_not_matter() -> None:
    truths = [
        Truth(
            answer_id="d1:1",
            truth=str(hour),
            at=NOON + timedelta(hours=hour),
            file="a",
            place=hour,
        )
        for hour in range(4)
    ]
    one = Ledger().extend((), (), truths)
    other = Ledger().extend((), (), truths[2:]).extend((), (), truths[:2])
    assert one == other
    assert one.current["d1:1"].truth == "3"


def test_a_person_gives_truths_as_a_file(made: Made, tmp_path: Path) -> None:
    made.device().send(make_images(3), made.model_id)
    path = tmp_path / "truths.csv"
    path.write_text("answer_id,truth\nd1:1,3\n d1:3 , 4 \n")
    name = import_truths(made.store, str(path))
    assert name.startswith("by-hand/truth-")
    made.collect()
    assert read_labels(made) == {"d1:1": 3, "d1:2": -1, "d1:3": 4}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at least"),
        ("answer_id,truth\n", "at least"),
        ("answer,truth\nd1:1,3\n", "must have an answer_id"),
        ("answer_id,truth\nd1,3\n", "line 2"),
        ("answer_id,truth\nd1:1,3\nd1:x,3\n", "line 3"),
        ("answer_id,truth\nd1:1\n", "line 2"),
        ('answer_id,truth\n"d1:1,3\n', "CSV"),
    ],
)
def test_a_file_of_truths_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "truths.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=words):
        parse_truths(str(path))


@pytest.mark.parametrize(("truth", "found"), [("2.5", 2.5), (2.5, 2.5), (3, 3.0), ("-1e3", -1000)])
def test_a_target_is_a_number(truth: Any, found: float) -> None:
    assert TruthField("target").read(truth) == found


@pytest.mark.parametrize("truth", ["much", "nan", "inf", True, None, [1], {}])
def test_what_is_no_number_is_no_target(truth: Any) -> None:
    with pytest.raises(InvalidInput, match="finite number"):
        TruthField("target").read(truth)


def test_the_ledger_is_what_the_version_names(made: Made) -> None:
    made.device().send(make_images(1), made.model_id)
    made.collect()
    path = f"feedback/digits/{made.version.info['ledger']}.json"
    assert json.loads(made.store.read(path))["read"]
    made.store.write(path, made.store.read(path) + b" ")
    with pytest.raises(Exception, match="restore the file"):
        made.collect()


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 11, 28, 12),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, tzinfo=UTC),
    ],
)
def test_a_clock_that_is_wrong_stops_nobody(made: Made, at: datetime) -> None:
    made.device("odd").send(make_images(2), made.model_id, at=at, truths=[("odd:1", "3")])
    made.device().send(make_images(2, seed=1), made.model_id, truths=[("d1:1", "4")])
    assert made.collect().collected == 4
    assert read_labels(made) == {"odd:1": 3, "odd:2": -1, "d1:1": 4, "d1:2": -1}


@pytest.mark.parametrize("name", ["stray.txt", "d1/stray.txt", "d1/deep/1-2-3.safetensors"])
def test_what_is_no_batch_is_named(made: Made, name: str) -> None:
    made.device().send(make_images(1), made.model_id)
    made.store.write(f"{UPLINKS}/{name}", b"anything")
    made.store.write(f"{UPLINKS}/d1/.new-1", b"in the making")
    gathered = made.collect()
    assert gathered.collected == 1
    assert [each.partition(":")[0] for each in tell(gathered, "refused")] == [name]
