"""Boosted trees for tables: fitted by scikit-learn, asked as a network, exported as one ONNX node.

After Friedman (2001), by histograms as LightGBM does (Ke et al., 2017).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_modules.networks.fitted import NEVER, FittedNetwork

OPERATOR = "ai.onnx.ml::TreeEnsembleRegressor"
OPERATOR_VERSION = 3
SEED = 0


class BoostedTrees(FittedNetwork):
    """Sums of trees, each of which mends what those before it left.

    Args:
        input_shape: (D,).
        outputs: K.
        trees: Rounds of boosting; of more than two classes, each has a tree a class.
        leaves: Most leaves of a tree.
        depth: Most questions to a leaf.
        rate: Share of each tree's answer that counts, in (0, 1].
        least_rows: Fewest training rows of a leaf.

    Attributes:
        feature, threshold, left, right, value: Buffers (trees, nodes); a leaf leads to itself.
        base: Buffer (columns,): the answer before the first tree.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    base: Tensor

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        trees: int = 100,
        leaves: int = 31,
        depth: int = 8,
        rate: float = 0.1,
        least_rows: int = 20,
    ) -> None:
        super().__init__()
        if len(input_shape) != 1:
            raise ValueError(f"the input must be a row (D,); got the shape {input_shape}")
        # Of two classes one logit says it all.
        self.outputs, self.columns = outputs, 1 if outputs == 2 else outputs
        self.depth = depth
        self.settings: dict[str, Any] = {
            "max_iter": trees,
            "max_leaf_nodes": leaves,
            "max_depth": depth,
            "learning_rate": rate,
            "min_samples_leaf": least_rows,
            "early_stopping": False,
            "random_state": SEED,
        }
        shape = (trees * self.columns, 2 * leaves - 1)
        places = torch.arange(shape[1]).expand(shape).clone()
        self.register_buffer("feature", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("threshold", torch.zeros(shape))
        self.register_buffer("left", places)
        self.register_buffer("right", places.clone())
        self.register_buffer("value", torch.zeros(shape))
        self.register_buffer("base", torch.zeros(self.columns))

    def forward(self, sample: Tensor) -> Tensor:
        """Turns (N, D) float32 into (N, K) float32."""
        if torch.onnx.is_in_onnx_export():
            found = torch.onnx.ops.symbolic(
                OPERATOR,
                (sample,),
                {"n_targets": self.columns},
                dtype=torch.float32,
                shape=(sample.shape[0], self.columns),
                version=OPERATOR_VERSION,
            )
        else:
            answers = self._walk(sample)
            found = answers.reshape(len(answers), -1, self.columns).sum(1) + self.base
        if self.columns == self.outputs:
            return found
        return torch.cat([torch.zeros_like(found), found], 1)

    def _walk(self, sample: Tensor) -> Tensor:
        """Answers of all trees (N, trees)."""
        tree = torch.arange(len(self.feature), device=sample.device).expand(len(sample), -1)
        node = torch.zeros_like(tree)
        for _ in range(self.depth):
            asked = sample.gather(1, self.feature[tree, node])
            below = asked <= self.threshold[tree, node]
            node = torch.where(below, self.left[tree, node], self.right[tree, node])
        return self.value[tree, node]

    def fit_rows(self, features: Tensor, wanted: Tensor, weight: Tensor) -> None:
        """Boosts trees on the rows whose value is known."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        if wanted.is_floating_point():
            aim = wanted.reshape(-1)
            known = ~torch.isnan(aim)
            model = HistGradientBoostingRegressor(**self.settings)
            places = [0]
        else:
            aim, known = wanted, torch.ones_like(wanted, dtype=torch.bool)
            model = HistGradientBoostingClassifier(**self.settings)
            places = np.unique(wanted.numpy()).tolist()
        rows, aims = features[known].numpy(), aim[known].numpy()
        if len(places) > 1 or wanted.is_floating_point():
            model.fit(rows, aims, sample_weight=weight[known].numpy())
            self._take(model, places if self.columns > 1 else [0])
        else:
            self._answer_always(places[0])

    def _answer_always(self, label: int) -> None:
        """Sets the answer where all rows are of one class."""
        if self.columns == 1:
            self.base.fill_(-NEVER if label else NEVER)
        else:
            self.base.fill_(NEVER)
            self.base[label] = 0.0

    def _take(self, model: Any, places: list[int]) -> None:
        """Copies the nodes of a fitted model; two of many classes have one logit between them."""
        base = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)
        self.base.fill_(0.0 if self.columns == 1 else NEVER)
        if len(base) == 1:
            places = places[-1:]
            if self.columns > 1:
                self.base[[*model.classes_.tolist()]] = 0.0
        for column, start in zip(places, base.tolist(), strict=True):
            self.base[column] = start
        for turn, predictors in enumerate(model._predictors):
            for column, predictor in zip(places, predictors, strict=True):
                self._copy(turn * self.columns + column, predictor.nodes)

    def _copy(self, tree: int, nodes: NDArray[Any]) -> None:
        """Copies one tree; thresholds are rounded down, so that float32 asks the same question."""
        count, leaf = len(nodes), nodes["is_leaf"].astype(bool)
        own = np.arange(count)
        limits = np.where(leaf, 0.0, nodes["num_threshold"])
        rounded = limits.astype(np.float32)
        above = rounded.astype(np.float64) > limits
        rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
        found = {
            "feature": np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
            "threshold": rounded,
            "left": np.where(leaf, own, nodes["left"]).astype(np.int64),
            "right": np.where(leaf, own, nodes["right"]).astype(np.int64),
            "value": np.where(leaf, nodes["value"], 0.0).astype(np.float32),
        }
        for name, values in found.items():
            getattr(self, name)[tree, :count] = torch.from_numpy(values)

    def list_attributes(self) -> dict[str, dict[str, Any]]:
        """Returns the trees' nodes as the exported one states them."""
        names = ("feature", "threshold", "left", "right", "value", "base")
        arrays = {name: getattr(self, name).cpu().numpy() for name in names}
        return {OPERATOR.partition("::")[2]: _list_ensemble(arrays)}


def _list_ensemble(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Returns the attributes of the ONNX node."""
    columns, base = len(arrays["base"]), arrays["base"].tolist()
    listed: dict[str, Any] = {
        "n_targets": columns,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "base_values": base,
    }
    nodes = list(_list_reached(arrays))
    for name, place in (
        ("nodes_treeids", 0),
        ("nodes_nodeids", 1),
        ("nodes_featureids", 2),
        ("nodes_modes", 3),
        ("nodes_values", 4),
        ("nodes_truenodeids", 5),
        ("nodes_falsenodeids", 6),
    ):
        listed[name] = [node[place] for node in nodes]
    leaves = [node for node in nodes if node[3] == "LEAF"]
    listed["target_treeids"] = [node[0] for node in leaves]
    listed["target_nodeids"] = [node[1] for node in leaves]
    listed["target_ids"] = [node[0] % columns for node in leaves]
    listed["target_weights"] = [node[7] for node in leaves]
    return listed


def _list_reached(arrays: dict[str, NDArray[Any]]) -> Iterator[tuple[Any, ...]]:
    """Yields the nodes that can be reached, tree by tree."""
    left, right, value = arrays["left"], arrays["right"], arrays["value"]
    for tree in range(len(left)):
        open_nodes = [0]
        while open_nodes:
            node = open_nodes.pop()
            leaf = left[tree, node] == node
            ways = (0, 0) if leaf else (int(left[tree, node]), int(right[tree, node]))
            yield (
                tree,
                node,
                int(arrays["feature"][tree, node]),
                "LEAF" if leaf else "BRANCH_LEQ",
                float(arrays["threshold"][tree, node]),
                *ways,
                float(value[tree, node]),
            )
            if not leaf:
                open_nodes += ways
