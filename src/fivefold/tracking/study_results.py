"""Results of a study as plain data, printed by `fivefold study show --json` and logged to MLflow."""

from typing import Literal

from pydantic import Field, JsonValue

from ..config.base import StrictModel

TrialStatus = Literal["complete", "pruned", "failed", "running", "waiting"]


class TrialResult(StrictModel):
    """A trial of a study."""

    number: int
    state: TrialStatus
    params: dict[str, JsonValue] = Field(description="dotted key of the model -> value of the trial")
    score: float | None = Field(description="mean score of the finished folds")
    std: float | None = Field(description="standard deviation of the scores; null with fewer than two finished folds")
    fold_scores: tuple[float, ...] = Field(description="score of each finished fold")
    intermediate_values: tuple[float | None, ...] = Field(
        description="score of each epoch of the first fold, higher is better; null for epochs without validation"
    )
    objective_values: tuple[float, ...] = Field(
        description="objective values of a complete trial, in the order of the study's objectives"
    )
    is_baseline: bool = Field(description="whether its values are those of params.yaml")
    reason: str = Field(description="why the trial was pruned or failed")
    seconds: float = Field(description="computing time in seconds")
    start_time: int | None = Field(description="milliseconds since 1970")
    end_time: int | None = Field(description="milliseconds since 1970")

    @property
    def is_finished(self) -> bool:
        """Whether the trial is complete, pruned or failed."""
        return self.state in ("complete", "pruned", "failed")


class StudySummary(StrictModel):
    """A study, finished or not."""

    unique_id: str = Field(description="distinguishes studies of the same name")
    name: str
    model: str = Field(description="model in params.yaml whose values are searched")
    metric: str = Field(description="metric of the score")
    direction: Literal["higher", "lower"] = Field(description="whether higher or lower scores are better")
    objectives: tuple[str, ...] = Field(description="score: the metric; parameters: their number; latency: ms per row")
    sampler: str | None = Field(description="sampler of the latest trials; null before the first trial")
    pruner: str | None = Field(description="pruner of the latest trials; null before the first trial")
    n_folds: int = Field(description="number of folds of a complete trial")
    seed: int
    storage_uri: str = Field(description="URI of the trial storage, without credentials")
    search_space: dict[str, JsonValue] = Field(description="search space as in params.yaml")
    n_trials: int = Field(description="total number of trials that was requested last")
    trials: tuple[TrialResult, ...] = Field(description="trials, without unused slots of an earlier, larger total")
    best_trial_number: int | None = Field(description="number of the best complete trial; null with several objectives")
    pareto_front: tuple[int, ...] = Field(description="numbers of the Pareto-optimal trials")
    baseline_trial_number: int | None = Field(
        description="number of the complete trial with the values of params.yaml; null if there is none"
    )

    @property
    def sign(self) -> int:
        """Factor that makes higher scores better: 1 or -1."""
        return 1 if self.direction == "higher" else -1

    @property
    def description(self) -> str:
        """Sampler, pruner, number of folds and seed as text."""
        algorithms = f"sampler {self.sampler}, pruner {self.pruner}, " if self.sampler else ""
        return f"{algorithms}{self.n_folds} {'folds' if self.n_folds > 1 else 'fold'}, seed {self.seed}"

    def trials_in_state(self, *states: TrialStatus) -> list[TrialResult]:
        """Return the trials in the given states, by number."""
        return [trial for trial in self.trials if trial.state in states]

    def get_trial(self, number: int | None) -> TrialResult | None:
        """Return the trial with a number; None if there is none."""
        return next((trial for trial in self.trials if trial.number == number), None)

    def ranked_trials(self) -> list[TrialResult]:
        """Return the complete trials by score, the best first; of equal scores the earlier trial first."""
        return sorted(
            self.trials_in_state("complete"), key=lambda trial: (-self.sign * (trial.score or 0.0), trial.number)
        )


class FailureGroup(StrictModel):
    """Trials that were pruned or failed for the same reason."""

    reason: str
    trial_numbers: tuple[int, ...] = Field(description="numbers of the trials")


class Importance(StrictModel):
    """Importance of each parameter for the rank of a trial."""

    method: str
    n_trials: int = Field(description="number of trials that importances are estimated from")
    importances: dict[str, float] = Field(
        description="fraction of the variation of ranks by key, largest first; the sum is 1"
    )
    note: str = Field(description="why there are no importances, if there are none")


class Improvement(StrictModel):
    """Improvement of the best trial over the values of params.yaml, on the same folds; above 0 is better."""

    mean_difference: float
    fold_differences: tuple[float, ...] = Field(description="difference on each fold")
    n_better_folds: int = Field(description="number of folds on which the best trial is better")


class StudyResult(StudySummary):
    """A study and its analysis."""

    state_counts: dict[TrialStatus, int] = Field(description="number of trials by state; waiting: also unclaimed slots")
    n_lost: int = Field(description="running trials whose worker has died")
    pruned_groups: tuple[FailureGroup, ...]
    failed_groups: tuple[FailureGroup, ...]
    importance: Importance
    improvement: Improvement | None
    param_changes: dict[str, tuple[JsonValue, JsonValue]] = Field(
        description="key -> current value in params.yaml, value of the best trial that `fivefold study apply` writes"
    )
