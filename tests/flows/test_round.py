"""The loop turns once, with real processes: an agent answers, what it sends through an endpoint is
judged and learned from, and it takes the next model by itself.
"""

import csv
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from deployments.targets.fleet.agents import AgentPlan, Look, start_agents, wait_until
from deployments.targets.fleet.children import Children
from deployments.targets.fleet.device import Device, HttpNode
from deployments.targets.fleet.drift import turn_picture
from deployments.targets.fleet.evidence import read_arrived, read_cleared
from deployments.targets.fleet.ledger import Sample
from deployments.targets.fleet.plan import score_label
from flows.recipe.load import load_recipe
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from tests.flows.conftest import Promoted
from tests.flows.material import FAST, call

pytestmark = pytest.mark.prefect
ENTRY = "lepton_ai.cli:main"
TURNED_DEG = 40.0
BEFORE, AFTER = 240, 120


def write_recipe(folder: Path, name: str, changes: Mapping[str, Any]) -> Path:
    """A recipe that comes with Lepton, as a file, with a few settings changed."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(load_recipe(name, changes).model_dump(mode="json")))
    return path


def read_turned(workspace: Path) -> list[Sample]:
    """Held-out digits, which the promoted model has not learned from, turned."""
    version = Dataset(Store(workspace), "digits-prepared").latest()
    assert version is not None
    rows = version.read("held_out")
    order = np.random.default_rng(5).permutation(len(rows["label"]))
    return [
        Sample(
            turn_picture(rows["image"][place][0], TURNED_DEG, 16),
            "image/png",
            str(rows["label"][place]),
        )
        for place in order[: BEFORE + AFTER]
    ]


def ask(device: Device, samples: list[Sample]) -> tuple[list[str], set[str], float]:
    """Asks about samples: the answer ids, the models that answered, the share that is right."""
    replies = [device.node.ask("edge", sample) for sample in samples]
    scores = [
        score_label(reply.predicted, sample.truth)
        for reply, sample in zip(replies, samples, strict=True)
    ]
    right = sum(score or 0.0 for score in scores) / len(samples)
    return [reply.answer_id for reply in replies], {reply.model_id for reply in replies}, right


def wait_empty(device: Device) -> None:
    wait_until([device], lambda look, name: look.waiting[name] == 0, "send all", 60, _ignore)


def wait_release(device: Device, number: int) -> None:
    wait_until([device], lambda look, _: look.seen[0].release == number, "update", 60, _ignore)


def ask_until_new(node: HttpNode, sample: Sample, old: set[str]) -> set[str]:
    """The model that an endpoint has once it is another one; the old one after half a minute."""
    deadline_s = time.monotonic() + 30
    while (now := {node.ask("cloud", sample).model_id}) == old and time.monotonic() < deadline_s:
        time.sleep(0.2)
    return now


def _ignore(look: Look, done: int) -> None:
    pass


def judge(recipe: Path, workspace: Path, *options: str) -> dict[str, Any]:
    outcome = call("feedback", str(recipe), "--workspace", str(workspace), "--json", *options)
    assert outcome.status == 0, outcome.messages
    return outcome.summary


def test_the_loop_turns_once(own_promoted: Promoted, tmp_path: Path) -> None:
    workspace, recipe = own_promoted.workspace, write_recipe(tmp_path, "digits", FAST)
    samples = read_turned(workspace)
    with Children(ENTRY, tmp_path / "logs") as children, ExitStack() as closer:
        serving = children.start(
            "endpoint",
            *("serve", "--channel", "cloud", "--workspace", str(workspace), "--port", "0"),
            *("--interval-s", "0.5"),
        )
        endpoint = serving.wait_ready(60)
        plan = AgentPlan(
            str(workspace), "edge", "default", tmp_path / "fleet", 0.5, f"{endpoint}/uplink"
        )
        (device,) = start_agents(plan, ["d1"], children, lambda done, what: None)
        closer.callback(device.node.close)

        answer_ids, models, before = ask(device, samples[:BEFORE])
        assert models == {own_promoted.summary["model_id"]}
        truths = [(name, s.truth) for name, s in zip(answer_ids, samples, strict=False)]
        assert device.node.tell(truths[: BEFORE // 2]) == BEFORE // 2
        wait_empty(device)
        table = tmp_path / "truths.csv"
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([("answer_id", "truth"), *truths[BEFORE // 2 :]])

        said = judge(recipe, workspace, "--truth", str(table))
        assert (said["decision"], said["collected"]) == ("retrain", BEFORE), said
        assert call("verify", said["receipt"], "--workspace", str(workspace)).status == 0
        wait_release(device, 2)

        later_ids, later, after = ask(device, samples[BEFORE:])
        assert later == {json.loads(Path(said["receipt"]).read_bytes())["signed"]["model"]["id"]}
        assert after > before + 0.2, (before, after)
        wait_empty(device)
        with closing(HttpNode("endpoint", endpoint)) as node:
            assert ask_until_new(node, samples[0], models) == later

        # Nobody has told what is true of the rows since: that they are turned, a person is asked.
        again = judge(recipe, workspace)
        assert (again["collected"], again["decision"]) == (AFTER, "ask"), again
        assert device.child.end() == 0
        assert serving.end() == 0
    arrived = read_arrived(Store(workspace), ["d1"])
    assert not arrived.refused
    assert sorted(arrived.answers) == sorted([*answer_ids, *later_ids])
    assert dict(arrived.truths) == dict(truths[: BEFORE // 2])
    assert models | later <= read_cleared(Store(workspace))
    lines = (workspace / "releases" / "edge.jsonl").read_text().splitlines()
    decided = [json.loads(line)["signed"] for line in lines]
    assert [each["decision"] for each in decided if "decision" in each] == ["retrain", "ask"]
