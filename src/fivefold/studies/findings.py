"""What is to be made of a study: what its trials ended of, which keys matter, how much was gained."""

import re
from collections import Counter
from collections.abc import Iterable
from statistics import fmean
from typing import Any

from ..errors import ParamsError
from ..tracking.study_results import Found, Gain, Group, State, StudyFacts, TrialFacts
from .facts import facts, ranges
from .human import rounded
from .importance import importance
from .kept import WORKER
from .owners import lives
from .space import Space, Values
from .trials import Trials

COUNTED: tuple[State, ...] = ("complete", "pruned", "failed", "running", "waiting")


def found(trials: Trials) -> Found:
    """Return what a study has found by now."""
    study = facts(trials)
    workers = {trial.number: trial.user_attrs.get(WORKER, "") for trial in trials.all()}
    counts = Counter(trial.state for trial in study.trials)
    counts["waiting"] += max(0, study.total - len(study.trials))  # places that are made when they are needed
    return Found(
        **dict(study),
        counts={state: counts[state] for state in COUNTED},
        lost=sum(lives(study.name, workers[trial.number]) is False for trial in study.of("running")),
        pruned=tuple(pruned(study)),
        failed=tuple(failed(study)),
        importance=importance(study),
        gain=gain(study),
        differs=differs(study),
    )


def pruned(study: StudyFacts) -> Iterable[Group]:
    """Yield groups of pruned trials: those given up within their first fold, then those after 2 folds, 3, ..."""
    every = study.of("pruned")
    early = [trial for trial in every if not trial.folds]
    if early:
        epochs = sorted(int(number) for trial in early for number in re.findall(r"^after (\d+) epochs", trial.reason))
        spread = (
            f"{epochs[0]} to {epochs[-1]}"
            if epochs and epochs[0] < epochs[-1]
            else f"{epochs[0] if epochs else 'some'}"
        )
        yield _group(f"after {spread} epochs of the first fold (below the median)", early)
    for folds in sorted({len(trial.folds) for trial in every if trial.folds}):
        same = [trial for trial in every if len(trial.folds) == folds]
        yield _group(f"by the paired test after {folds} folds", same)


def failed(study: StudyFacts) -> Iterable[Group]:
    """Yield groups of failed trials whose reasons differ in numbers alone, the largest first."""
    kinds: dict[str, list[TrialFacts]] = {}
    for trial in study.of("failed"):
        kinds.setdefault(re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "#", trial.reason), []).append(trial)
    for same in sorted(kinds.values(), key=len, reverse=True):
        yield _group(same[0].reason or "its worker died", same)


def _group(text: str, trials: list[TrialFacts]) -> Group:
    return Group(text=text, trials=tuple(trial.number for trial in trials))


def gain(study: StudyFacts) -> Gain | None:
    """Return how much better the best trial is than the baseline; None without one of them, or if it is the best."""
    best, base = study.trial(study.best), study.trial(study.baseline)
    if best is None or base is None or best is base or len(best.folds) != len(base.folds):
        return None
    folds = [study.sign * (mine - theirs) for mine, theirs in zip(best.folds, base.folds, strict=True)]
    return Gain(mean=fmean(folds), folds=tuple(folds), better=sum(each > 0 for each in folds))


def differs(study: StudyFacts) -> dict[str, tuple[Any, Any]]:
    """Return the values of the best trial, as they would be adopted, that params.yaml has not, beside what it has."""
    best = study.trial(study.best)
    now = params_values(study)
    if best is None or now is None:
        return {}
    wanted = rounded(ranges(study), best.values)
    return {key: (now.get(key), value) for key, value in wanted.items() if now.get(key) != value}


def params_values(study: StudyFacts) -> Values | None:
    """Return what params.yaml has now of the keys that are searched; None if it has not the model, or breaks a rule."""
    try:
        space = Space.read(study.model)
    except ParamsError:
        return None
    return {key: space.defaults.get(key) for key in ranges(study)}
