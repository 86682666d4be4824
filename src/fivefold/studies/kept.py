"""Names of what is kept of studies and of trials, as user attributes of Optuna's."""

IDENTITY = "fivefold"
"""Of a study: what it is a study of."""
MARK = "mark"
"""Of a study: drawn when it begins, tells it from another of the same name."""
TOTAL = "total"
"""Of a study: how many trials were asked for last, in all."""
HOW = "how"
"""Of a study: sampler and pruning of the trials that began last."""
WORKER, REASON, FOLDS, CURVE, VALUES, SCORES, SECONDS, DEATHS = (
    "worker", "reason", "folds", "curve", "values", "scores", "seconds", "deaths",
)  # fmt: skip
"""Of a trial: who has it; why it was pruned or failed; the score of each finished fold; its first
fold's score by epoch; the values that it tries, as params.yaml has them; the mean of every metric; of computing; how
far it had come (folds, when its newest checkpoint was written), and how many workers have died of it since."""
BLOCK, OWN = "block", "own"
"""Of a trial: the whole block of the model with its values, as params.yaml could have it; whether
params.yaml has them."""
