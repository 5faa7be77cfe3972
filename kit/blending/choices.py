"""The blends and decisions by name, apart from `rule.py`: `--help` loads no scipy for them."""

from typing import Final

BLENDS: Final = {
    "mean": "the arithmetic mean",
    "greedy": "greedy selection with replacement, by the metric, bagged",
    "weights": "non-negative weights, by log-loss",
    "gmean": "the geometric mean",
    "vote": "a hard vote",
    "rank": "the mean of ranks, for a metric of the order alone, such as ROC AUC",
}
FITTED: Final = ("greedy", "weights")
LINEAR: Final = ("mean", *FITTED)  # of these, passes can be summed one by one
DECISIONS: Final = {
    "argmax": "the most probable class; labels above one half; for quadratic kappa the expected "
    "class, rounded",
    "bias": "the same with a factor a class, a threshold a label, cut points of the expected class "
    "or a least probability, fitted to the metric",
}
