"""What a study found goes into params.yaml: the values of one trial, and nothing else."""

import copy
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ... import paths
from ...config.editing import edited, same
from ...config.loading import parse, read_tree
from ...config.search import SEARCHED
from ...errors import InputError, ParamsError, StudyError
from ...tracking.study_results import StudyFacts, TrialFacts
from ..execution.trials import Trials
from ..formatting import rounded
from ..identity import BLOCK, difference, other_study
from ..search import Search
from ..space import TAGS, Space, Values, at, put
from .facts import facts, ranges

WAYS = ("search", "study")
"""Parts of a study's identity that say how values are found, not what they are worth."""


@dataclass(frozen=True)
class Adopted:
    """What adopting a trial makes of params.yaml.

    before, after: its text. changed: dotted key of the model -> what it was and what it becomes, defaults included.
    others: what the score was measured with that params.yaml has not any more, by dotted key.
    """

    study: StudyFacts
    trial: TrialFacts
    before: str
    after: str
    changed: dict[str, tuple[Any, Any]]
    others: dict[str, tuple[Any, Any]]

    def refuse_others(self) -> None:
        """Refuse, by a `ParamsError`, values whose score is of another model, or of other rows."""
        if self.others:
            raise other_study(self.study.name, self.study.model, self.others)


def adopt(name: str, number: int | None = None) -> Adopted:
    """Return what params.yaml becomes with the values of a trial of study `name`; nothing is written.

    number: of the trial; None: the best one.

    Raises:
        InputError: the trial is not complete, or there are several best ones.
        StudyError: no trial is complete.
        ParamsError: the values cannot be put into params.yaml.
    """
    trials = Trials.load(name)
    study = facts(trials)
    trial = chosen(study, number)
    search = Search.read(study.model)
    search = replace(search, space=replace(search.space, ranges=ranges(study)))  # whatever is searched now
    others = trials.others(search.identity())
    block = copy.deepcopy(trials.all()[trial.number].user_attrs[BLOCK])
    values = rounded(ranges(study), trial.values)
    for key, value in values.items():
        put(block, key, value)
    before = paths.PARAMS.read_bytes().decode("utf-8")
    tree = read_tree()
    own = own_block(search.space, tree, block, values)
    wanted = {**tree, "models": {**tree["models"], study.model: own}}
    after = edited(before, wanted)
    changed = dict(difference(search.space.base.model_dump(mode="json"), _dumped(wanted, study.model)))
    measured = {key: pair for key, pair in others.items() if key.partition(".")[0] not in WAYS}
    return Adopted(study, trial, before, after, changed, measured)


def chosen(study: StudyFacts, number: int | None) -> TrialFacts:
    """Return the trial that is to be adopted."""
    if number is None and len(study.front) > 1 and len(study.objectives) > 1:
        raise InputError(
            f"of several objectives one trial must be named, but {study.name} has {len(study.front)} that none beats in"
            f" all: {', '.join(map(str, study.front))}; choose one with --trial"
        )
    only = study.front[0] if len(study.objectives) > 1 and study.front else study.best
    number = only if number is None else number
    trial = study.trial(number)
    if number is None:
        raise StudyError(f"a study must have a complete trial, but {study.name} has none yet; let it run on")
    if trial is None:
        raise InputError(
            f"a trial must be one of the {len(study.trials)} of {study.name}, but {number} is none; see `fivefold study"
            f" show {study.name}`"
        )
    if trial.state != "complete":
        why = f": {trial.reason}" if trial.reason else ""
        best = "" if study.best is None else f", the best is {study.best}"
        raise InputError(
            f"a trial must be complete to be adopted, but trial {number} is {trial.state}{why}; name another with"
            f" --trial{best}"
        )
    return trial


def own_block(space: Space, tree: dict[str, Any], block: dict[str, Any], values: Values) -> dict[str, Any]:
    """Return the model's block of params.yaml with which it is the model that a trial trained.

    tree: params.yaml as it stands. block: the trial's, whole, nothing left to a base. values: those that were tried.

    What the base or a default says already is not repeated, unless a block becomes another kind than the base's.

    Raises:
        ParamsError: no such block makes that model.
    """
    own: dict[str, Any] = copy.deepcopy(tree["models"][space.name])
    now = space.tree["models"][space.name]
    for key, value in values.items():
        if not same(at(now, key), value):
            above = key.rpartition(".")[0]
            put(own, *((above, at(block, above)) if key.rpartition(".")[2] in TAGS else (key, value)))
    target = _dumped(
        {**space.tree, "training": {}, "models": {**space.tree["models"], space.name: {**now, **block}}}, space.name
    )
    wanted = {**tree, "models": {**tree["models"], space.name: own}}
    for key, (_, value) in list(difference(_dumped(wanted, space.name), target)):
        if key.partition(".")[0] in SEARCHED:
            put(own, key, value)
    left = dict(difference(_dumped(wanted, space.name), target))
    if left:
        raise ParamsError(
            f"models.{space.name} must become the model that was tried, but would differ in {', '.join(left)}; write"
            " the values in by hand"
        )
    return own


def _dumped(tree: dict[str, Any], name: str) -> dict[str, Any]:
    """Return every value of a model, what is left to defaults too."""
    found: dict[str, Any] = parse(tree).models[name].model_dump(mode="json")
    return found


def write(adopted: Adopted, path: Path = paths.PARAMS) -> None:
    """Put the new text in the place of the old one, at once and with the file's rights.

    Raises:
        ParamsError: the file was changed since it was read, or the values were found for something else.
    """
    adopted.refuse_others()
    place = path.resolve()
    if place.read_bytes().decode("utf-8") != adopted.before:
        raise ParamsError(f"{path} must stay as it is while values are put in, but was changed; run this again")
    handle, fresh = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(adopted.after.encode("utf-8"))
            os.fchmod(file.fileno(), place.stat().st_mode & 0o7777)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(place)
    finally:
        Path(fresh).unlink(missing_ok=True)
