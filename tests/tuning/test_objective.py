"""Pruning of running trials."""

from pathlib import Path

import pytest
from optuna import Trial, TrialPruned
from optuna.trial import TrialState

from fivefold.tuning.execution.liveness import WorkerLock
from fivefold.tuning.execution.objective import TrialRunner
from fivefold.tuning.execution.run import open_study
from fivefold.tuning.execution.storage import STORAGE_VARIABLE
from fivefold.tuning.identity import FOLD_SCORES, INTERMEDIATE_VALUES

from .helpers import LR_SEARCH
from .projects import FAMILIES, model_block, write_project

N_EPOCHS = 9


def test_baseline_is_never_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (STORAGE_VARIABLE, "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    settings = {"folds": 3, "sampler": "random", "pruner": "median_then_wilcoxon"}
    write_project(tmp_path, {"mlp": model_block(*FAMILIES["mlp"], search=LR_SEARCH, study=settings)})
    search, trials, total = open_study("mlp", "mlp", 8)
    metric = search.objective_metric
    good, bad = ({metric.name: metric.sign * value} for value in (0.9, 0.1))
    baseline, other, *finished = [
        TrialRunner(search, trials, Trial(trials.study, frozen._trial_id))
        for frozen in trials.claim(WorkerLock("mlp"), total, 8)
    ]
    for runner in (baseline, other, *finished):
        runner.build_model()
    for runner in finished:
        runner.trial.set_user_attr(INTERMEDIATE_VALUES, [0.9] * N_EPOCHS)
        runner.trial.set_user_attr(FOLD_SCORES, [good] * 3)
        runner.finish(TrialState.COMPLETE, [good[metric.name]], "", 0.0)
    curve = [0.1] * (N_EPOCHS - 1)
    assert other.prune_reason(curve, N_EPOCHS) == "below the median after 8 epochs of the first fold"
    assert baseline.prune_reason(curve, N_EPOCHS) == ""
    with pytest.raises(TrialPruned, match=r"worse than trial \d after 2 folds \(Wilcoxon test, p = 0\.250\)"):
        other._report_and_prune([bad, bad])
    baseline._report_and_prune([bad, bad])
