"""What a study found, as plain data: `fivefold study show --json` prints it, MLflow is told it."""

from typing import Literal

from pydantic import Field, JsonValue

from ..config.base import StrictModel

TrialStatus = Literal["complete", "pruned", "failed", "running", "waiting"]


class TrialResult(StrictModel):
    """One trial."""

    number: int
    state: TrialStatus
    params: dict[str, JsonValue] = Field(description="dotted key of the model -> value that was tried")
    score: float | None = Field(description="mean of the finished folds")
    std: float | None = Field(description="of the finished folds, from two on")
    fold_scores: tuple[float, ...] = Field(description="score of each finished fold")
    intermediate_values: tuple[float | None, ...] = Field(
        description="how good each epoch of the first fold was, more being better; null where it was not looked at"
    )
    objective_values: tuple[float, ...] = Field(
        description="of a complete trial, in the order of the study's objectives"
    )
    is_baseline: bool = Field(description="its values are those that params.yaml had")
    reason: str = Field(description="why it was pruned or failed")
    seconds: float = Field(description="of computing")
    start_time: int | None = Field(description="milliseconds since 1970")
    end_time: int | None = Field(description="milliseconds since 1970")

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("complete", "pruned", "failed")


class StudySummary(StrictModel):
    """A study, finished or not."""

    unique_id: str = Field(description="tells it from another study of the same name")
    name: str
    model: str = Field(description="of params.yaml, whose values are searched")
    metric: str = Field(description="what the score is")
    direction: Literal["higher", "lower"] = Field(description="of the score")
    objectives: tuple[str, ...] = Field(description="score: the metric; parameters; latency: ms a row")
    sampler: str | None = Field(description="what chose the values of the last trials; null before the first one")
    pruner: str | None = Field(description="how the last trials were given up; null before the first one")
    n_folds: int = Field(description="of a complete trial")
    seed: int
    storage_uri: str = Field(description="where its trials are kept, without a password")
    search_space: dict[str, JsonValue] = Field(description="the ranges, as params.yaml has them")
    n_trials: int = Field(description="trials that were asked for last, in all")
    trials: tuple[TrialResult, ...] = Field(description="without places that an earlier, larger total has left")
    best_trial_number: int | None = Field(description="number of the best complete trial; null with several objectives")
    pareto_front: tuple[int, ...] = Field(description="numbers of the trials that no other beats in all objectives")
    baseline_trial_number: int | None = Field(
        description="number of the complete trial that has params.yaml's own values"
    )

    @property
    def sign(self) -> int:
        """What a score is multiplied by so that more is better."""
        return 1 if self.direction == "higher" else -1

    @property
    def description(self) -> str:
        """How it is searched, in words."""
        chosen = f"sampler {self.sampler}, pruning {self.pruner}, " if self.sampler else ""
        return f"{chosen}{self.n_folds} {'folds' if self.n_folds > 1 else 'fold'}, seed {self.seed}"

    def trials_in_state(self, *states: TrialStatus) -> list[TrialResult]:
        """Return the trials in these states, in order."""
        return [trial for trial in self.trials if trial.state in states]

    def get_trial(self, number: int | None) -> TrialResult | None:
        """Return a trial by its number, None if there is none."""
        return next((trial for trial in self.trials if trial.number == number), None)

    def ranked_trials(self) -> list[TrialResult]:
        """Return the complete trials, the best score first; of equal ones the earlier."""
        return sorted(
            self.trials_in_state("complete"), key=lambda trial: (-self.sign * (trial.score or 0.0), trial.number)
        )


class FailureGroup(StrictModel):
    """Trials that ended for one reason."""

    reason: str
    trial_numbers: tuple[int, ...] = Field(description="their numbers")


class Importance(StrictModel):
    """How much each key says about the rank of a trial."""

    method: str
    n_trials: int = Field(description="how many it is judged by")
    importances: dict[str, float] = Field(
        description="of the differences in rank, by key, largest first; they sum to 1"
    )
    note: str = Field(description="why there are no shares, if there are none")


class Improvement(StrictModel):
    """How much better the best trial is than what params.yaml had, on the same folds; above 0 is better."""

    mean_difference: float
    fold_differences: tuple[float, ...] = Field(description="of each fold")
    n_better_folds: int = Field(description="folds on which it is better")


class StudyResult(StudySummary):
    """A study, and what is to be made of it."""

    state_counts: dict[TrialStatus, int] = Field(description="waiting: also those that have no place yet")
    n_lost: int = Field(description="running trials whose workers have died")
    pruned_groups: tuple[FailureGroup, ...]
    failed_groups: tuple[FailureGroup, ...]
    importance: Importance
    improvement: Improvement | None
    param_changes: dict[str, tuple[JsonValue, JsonValue]] = Field(
        description="key -> what params.yaml has now, what the best trial has and `fivefold study adopt` would write"
    )
