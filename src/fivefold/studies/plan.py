"""What is asked of a cross-validation, and what comes of each fold; as JSON, processes hand it to each other."""

from pydantic import Field, JsonValue

from ..config.base import Strict


class Plan(Strict):
    """What is asked for.

    names: of models. seed: of folds and trainings; None: that of params.yaml. nested: search within each fold.
    trials: of each such search; None: as `study` of the model says.
    """

    names: tuple[str, ...] = Field(min_length=1)
    folds: int = Field(ge=2)
    repeats: int = Field(default=1, ge=1)
    seed: int | None = None
    nested: bool = False
    trials: int | None = None

    @property
    def title(self) -> str:
        """What its results are kept under; a model's name has neither + nor a point in it."""
        return "+".join(self.names) + (".nested" if self.nested else "")


class Winner(Strict):
    """What a search within a fold found.

    values: by dotted key. inner: the score by which it won, the mean over inner folds. trials: in all. ended: those
    that have a score.
    """

    values: dict[str, JsonValue]
    metric: str
    inner: float
    trials: int
    ended: int


class Result(Strict):
    """What came of a model on one fold.

    repeat, fold: from 1. rows: learnt, set aside, held out. scores: by metric, of the rows held out. error: why there
    are none; empty if there are. seconds: of training, and of the search.
    """

    model: str
    repeat: int
    fold: int
    rows: dict[str, int]
    scores: dict[str, float] = Field(default={})
    error: str = ""
    epochs: int = 0
    kept_epoch: int = 0
    seconds: float = 0.0
    winner: Winner | None = None
