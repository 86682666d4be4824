"""What a study found, as plain data: `fivefold study show --json` prints it, MLflow is told it."""

from typing import Literal

from pydantic import Field, JsonValue

from ..config.base import Strict

State = Literal["complete", "pruned", "failed", "running", "waiting"]


class TrialFacts(Strict):
    """One trial."""

    number: int
    state: State
    values: dict[str, JsonValue] = Field(description="dotted key of the model -> value that was tried")
    score: float | None = Field(description="mean of the finished folds")
    deviation: float | None = Field(description="of the finished folds, from two on")
    folds: tuple[float, ...] = Field(description="score of each finished fold")
    curve: tuple[float | None, ...] = Field(
        description="how good each epoch of the first fold was, more being better; null where it was not looked at"
    )
    objectives: tuple[float, ...] = Field(description="of a complete trial, in the order of the study's objectives")
    own: bool = Field(description="its values are those that params.yaml had")
    reason: str = Field(description="why it was pruned or failed")
    seconds: float = Field(description="of computing")
    began: int | None = Field(description="milliseconds since 1970")
    ended: int | None = Field(description="milliseconds since 1970")

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("complete", "pruned", "failed")


class StudyFacts(Strict):
    """A study, finished or not."""

    mark: str = Field(description="tells it from another study of the same name")
    name: str
    model: str = Field(description="of params.yaml, whose values are searched")
    metric: str = Field(description="what the score is")
    better: Literal["higher", "lower"] = Field(description="of the score")
    objectives: tuple[str, ...] = Field(description="score: the metric; parameters; latency: ms a row")
    sampler: str | None = Field(description="what chose the values of the last trials; null before the first one")
    prune: str | None = Field(description="how the last trials were given up; null before the first one")
    folds: int = Field(description="of a complete trial")
    seed: int
    where: str = Field(description="where its trials are kept, without a password")
    search: dict[str, JsonValue] = Field(description="the ranges, as params.yaml has them")
    total: int = Field(description="trials that were asked for last, in all")
    trials: tuple[TrialFacts, ...] = Field(description="without places that an earlier, larger total has left")
    best: int | None = Field(description="number of the best complete trial; null with several objectives")
    front: tuple[int, ...] = Field(description="numbers of the trials that no other beats in all objectives")
    baseline: int | None = Field(description="number of the complete trial that has params.yaml's own values")

    @property
    def sign(self) -> int:
        """What a score is multiplied by so that more is better."""
        return 1 if self.better == "higher" else -1

    @property
    def how(self) -> str:
        """How it is searched, in words."""
        chosen = f"sampler {self.sampler}, pruning {self.prune}, " if self.sampler else ""
        return f"{chosen}{self.folds} {'folds' if self.folds > 1 else 'fold'}, seed {self.seed}"

    def of(self, *states: State) -> list[TrialFacts]:
        """Return the trials in these states, in order."""
        return [trial for trial in self.trials if trial.state in states]

    def trial(self, number: int | None) -> TrialFacts | None:
        """Return a trial by its number, None if there is none."""
        return next((trial for trial in self.trials if trial.number == number), None)

    def ranked(self) -> list[TrialFacts]:
        """Return the complete trials, the best score first; of equal ones the earlier."""
        return sorted(self.of("complete"), key=lambda trial: (-self.sign * (trial.score or 0.0), trial.number))


class Group(Strict):
    """Trials that ended for one reason."""

    text: str
    trials: tuple[int, ...] = Field(description="their numbers")


class Importance(Strict):
    """How much each key says about the rank of a trial."""

    method: str
    trials: int = Field(description="how many it is judged by")
    shares: dict[str, float] = Field(description="of the differences in rank, by key, largest first; they sum to 1")
    note: str = Field(description="why there are no shares, if there are none")


class Gain(Strict):
    """How much better the best trial is than what params.yaml had, on the same folds; above 0 is better."""

    mean: float
    folds: tuple[float, ...] = Field(description="of each fold")
    better: int = Field(description="folds on which it is better")


class Found(StudyFacts):
    """A study, and what is to be made of it."""

    counts: dict[State, int] = Field(description="waiting: also those that have no place yet")
    lost: int = Field(description="running trials whose workers have died")
    pruned: tuple[Group, ...]
    failed: tuple[Group, ...]
    importance: Importance
    gain: Gain | None
    differs: dict[str, tuple[JsonValue, JsonValue]] = Field(
        description="key -> what params.yaml has now, what the best trial has and `fivefold study adopt` would write"
    )
