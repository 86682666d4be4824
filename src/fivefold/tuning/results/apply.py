"""What a study found goes into params.yaml: the values of one trial, and nothing else."""

import copy
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ... import paths
from ...config.editing import update_yaml, values_equal
from ...config.loading import parse_params, read_yaml
from ...config.search import SEARCHABLE_BLOCKS
from ...errors import InputError, ParamsError, StudyError
from ...tracking.study_results import StudySummary, TrialResult
from ..execution.trials import TrialQueue
from ..formatting import round_values
from ..identity import MODEL_BLOCK, diff_trees, identity_mismatch_error
from ..search import Search
from ..space import DISCRIMINATOR_KEYS, ParamValues, SearchSpace, get_nested, set_nested
from .facts import search_ranges, summarize_study

SEARCH_METHOD_KEYS = ("search", "study")
"""Parts of a study's identity that say how values are found, not what they are worth."""


@dataclass(frozen=True)
class BestParams:
    """What adopting a trial makes of params.yaml.

    before, after: its text. changed: dotted key of the model -> what it was and what it becomes, defaults included.
    others: what the score was measured with that params.yaml has not any more, by dotted key.
    """

    study: StudySummary
    trial: TrialResult
    yaml_before: str
    yaml_after: str
    changes: dict[str, tuple[Any, Any]]
    mismatches: dict[str, tuple[Any, Any]]

    def raise_if_mismatched(self) -> None:
        """Refuse, by a `ParamsError`, values whose score is of another model, or of other rows."""
        if self.mismatches:
            raise identity_mismatch_error(self.study.name, self.study.model, self.mismatches)


def apply_trial(name: str, trial_number: int | None = None) -> BestParams:
    """Return what params.yaml becomes with the values of a trial of study `name`; nothing is written.

    number: of the trial; None: the best one.

    Raises:
        InputError: the trial is not complete, or there are several best ones.
        StudyError: no trial is complete.
        ParamsError: the values cannot be put into params.yaml.
    """
    trials = TrialQueue.load(name)
    study = summarize_study(trials)
    trial = select_trial(study, trial_number)
    search = Search.read(study.model)
    search = replace(search, space=replace(search.space, ranges=search_ranges(study)))  # whatever is searched now
    others = trials.identity_differences(search.identity())
    block = copy.deepcopy(trials.get_trials()[trial.number].user_attrs[MODEL_BLOCK])
    values = round_values(search_ranges(study), trial.params)
    for key, value in values.items():
        set_nested(block, key, value)
    before = paths.PARAMS.read_bytes().decode("utf-8")
    tree = read_yaml()
    own = build_model_block(search.space, tree, block, values)
    wanted = {**tree, "models": {**tree["models"], study.model: own}}
    after = update_yaml(before, wanted)
    changed = dict(diff_trees(search.space.base_model.model_dump(mode="json"), _dump_model(wanted, study.model)))
    measured = {key: pair for key, pair in others.items() if key.partition(".")[0] not in SEARCH_METHOD_KEYS}
    return BestParams(study, trial, before, after, changed, measured)


def select_trial(study: StudySummary, trial_number: int | None) -> TrialResult:
    """Return the trial that is to be adopted."""
    if trial_number is None and len(study.pareto_front) > 1 and len(study.objectives) > 1:
        raise InputError(
            f"of several objectives one trial must be named, but {study.name} has {len(study.pareto_front)} that none beats in"
            f" all: {', '.join(map(str, study.pareto_front))}; choose one with --trial"
        )
    only = study.pareto_front[0] if len(study.objectives) > 1 and study.pareto_front else study.best_trial_number
    trial_number = only if trial_number is None else trial_number
    trial = study.get_trial(trial_number)
    if trial_number is None:
        raise StudyError(f"a study must have a complete trial, but {study.name} has none yet; let it run on")
    if trial is None:
        raise InputError(
            f"a trial must be one of the {len(study.trials)} of {study.name}, but {trial_number} is none; see `fivefold study"
            f" show {study.name}`"
        )
    if trial.state != "complete":
        why = f": {trial.reason}" if trial.reason else ""
        best = "" if study.best_trial_number is None else f", the best is {study.best_trial_number}"
        raise InputError(
            f"a trial must be complete to be adopted, but trial {trial_number} is {trial.state}{why}; name another with"
            f" --trial{best}"
        )
    return trial


def build_model_block(
    space: SearchSpace, params_tree: dict[str, Any], trial_block: dict[str, Any], values: ParamValues
) -> dict[str, Any]:
    """Return the model's block of params.yaml with which it is the model that a trial trained.

    tree: params.yaml as it stands. block: the trial's, whole, nothing left to a base. values: those that were tried.

    What the base or a default says already is not repeated, unless a block becomes another kind than the base's.

    Raises:
        ParamsError: no such block makes that model.
    """
    own: dict[str, Any] = copy.deepcopy(params_tree["models"][space.name])
    now = space.tree["models"][space.name]
    for key, value in values.items():
        if not values_equal(get_nested(now, key), value):
            above = key.rpartition(".")[0]
            set_nested(
                own,
                *(
                    (above, get_nested(trial_block, above))
                    if key.rpartition(".")[2] in DISCRIMINATOR_KEYS
                    else (key, value)
                ),
            )
    target = _dump_model(
        {**space.tree, "training": {}, "models": {**space.tree["models"], space.name: {**now, **trial_block}}},
        space.name,
    )
    wanted = {**params_tree, "models": {**params_tree["models"], space.name: own}}
    for key, (_, value) in list(diff_trees(_dump_model(wanted, space.name), target)):
        if key.partition(".")[0] in SEARCHABLE_BLOCKS:
            set_nested(own, key, value)
    left = dict(diff_trees(_dump_model(wanted, space.name), target))
    if left:
        raise ParamsError(
            f"models.{space.name} must become the model that was tried, but would differ in {', '.join(left)}; write"
            " the values in by hand"
        )
    return own


def _dump_model(params_tree: dict[str, Any], name: str) -> dict[str, Any]:
    """Return every value of a model, what is left to defaults too."""
    found: dict[str, Any] = parse_params(params_tree).models[name].model_dump(mode="json")
    return found


def write_params(best_params: BestParams, path: Path = paths.PARAMS) -> None:
    """Put the new text in the place of the old one, at once and with the file's rights.

    Raises:
        ParamsError: the file was changed since it was read, or the values were found for something else.
    """
    best_params.raise_if_mismatched()
    place = path.resolve()
    if place.read_bytes().decode("utf-8") != best_params.yaml_before:
        raise ParamsError(f"{path} must stay as it is while values are put in, but was changed; run this again")
    handle, fresh = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(best_params.yaml_after.encode("utf-8"))
            os.fchmod(file.fileno(), place.stat().st_mode & 0o7777)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(place)
    finally:
        Path(fresh).unlink(missing_ok=True)
