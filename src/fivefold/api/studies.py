"""Cross-validation and hyperparameter search over models of the project in the current folder."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..crossval.crossval import CrossValidation, Plan
from ..crossval.summary import CrossValidationSummary, summarize
from ..crossval.workers import run_folds
from ..errors import StudyError
from ..tuning.execution.run import run_study
from ..tuning.execution.storage import translate_storage_errors
from ..tuning.execution.trials import TrialQueue
from ..tuning.results.apply import apply_trial, write_params
from ..tuning.results.facts import analyze_study


class CVResult:
    """Scores of a cross-validation.

    Attributes:
        scores: one row per model, repeat and fold, with one column per metric.
    """

    def __init__(self, summary: CrossValidationSummary) -> None:
        self._summary = summary
        rows = [{"model": r.model, "repeat": r.repeat, "fold": r.fold, **r.scores} for r in summary.results]
        self.scores = pd.DataFrame(rows)

    def summary(self) -> pd.DataFrame:
        """Return mean, standard deviation and 95 % interval of each metric, one row per model and metric."""
        rows = [
            {"model": name, "metric": metric, **estimate._asdict()}
            for name, estimates in self._summary.estimates.items()
            for metric, estimate in estimates.items()
        ]
        return pd.DataFrame(rows)

    def compare(self) -> pd.DataFrame:
        """Return differences between models by the corrected resampled t-test, one row per pair and metric.

        `p_adjusted` is corrected for the number of pairs (Holm 1979).
        """
        rows = [
            {"model_a": pair.model_a, "model_b": pair.model_b, "metric": metric, **difference._asdict()}
            | {"p_adjusted": pair.adjusted_p_values[metric]}
            for pair in self._summary.comparisons
            for metric, difference in pair.differences.items()
        ]
        return pd.DataFrame(rows)


def cross_validate(
    models: str | Sequence[str], *, folds: int = 5, repeats: int = 1, seed: int | None = None, n_workers: int = 1
) -> CVResult:
    """Cross-validate models of the project in the current folder; rows of the test set are in no fold.

    Args:
        models: a name or names of models in params.yaml, of one dataset.
        folds: number of folds, 2 or more.
        repeats: how often rows are divided into folds, each time differently.
        seed: of folds and trainings; None uses that of params.yaml.
        n_workers: processes.

    Raises:
        ParamsError: the models cannot be compared.
        StudyError: a fold ended without a score.
    """
    names = (models,) if isinstance(models, str) else tuple(models)
    crossval = CrossValidation.read(Plan(model_names=names, folds=folds, repeats=repeats, seed=seed))
    with run_folds(crossval, n_workers) as results:
        summary = summarize(crossval, list(results))
    if failed := summary.failed_results:
        raise StudyError(
            f"every fold must have a score, but fold {failed[0].fold} of {failed[0].model} has none: {failed[0].error}"
        )
    return CVResult(summary)


class Study:
    """A hyperparameter search over the `search` block of a model of the project in the current folder.

    Args:
        model: name of a model in params.yaml.
        name: of the study; the model's by default. A study of that name is continued.

    Attributes:
        best_params_: dotted key of the model block -> value of the best trial.
        best_score_: mean over folds of the best trial.
    """

    def __init__(self, model: str, name: str = "") -> None:
        self.model, self.name = model, name or model

    def run(self, n_trials: int | None = None, n_workers: int = 1) -> "Study":
        """Run trials until the study has `n_trials` in total, and return the study itself.

        Args:
            n_trials: in total, trials of earlier runs included; None uses `study.n_trials` of params.yaml.
            n_workers: processes.

        Raises:
            ParamsError: the model has no `search`, or the study belongs to another configuration.
            StudyError: a worker cannot continue, or no trial is complete.
        """
        run_study(self.model, self.name, n_trials, n_workers)
        with translate_storage_errors(self.name):
            result = analyze_study(TrialQueue.load(self.name))
        best = result.get_trial(result.best_trial_number)
        if best is not None:
            self.best_params_, self.best_score_ = dict(best.params), best.score
        self._trials = result.trials
        return self

    def trials_dataframe(self) -> pd.DataFrame:
        """Return one row per trial: number, state, score, standard deviation over folds, seconds and parameters."""
        if not hasattr(self, "_trials"):
            with translate_storage_errors(self.name):
                self._trials = analyze_study(TrialQueue.load(self.name)).trials
        rows: list[dict[str, Any]] = [
            {"number": t.number, "state": t.state, "score": t.score, "std": t.std, "seconds": t.seconds}
            | {f"params_{key}": value for key, value in t.params.items()}
            for t in self._trials
        ]
        return pd.DataFrame(rows)

    def apply(self, trial: int | None = None) -> None:
        """Write the parameters of the best trial, or of trial number `trial`, into params.yaml; comments are preserved.

        Raises:
            StudyError: no trial is complete, or params.yaml has changed so that it does not fit.
        """
        with translate_storage_errors(self.name):
            found = apply_trial(self.name, trial)
        found.raise_if_mismatched()
        write_params(found)
