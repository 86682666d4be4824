"""Write the values of a study's trial into params.yaml, without other changes."""

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

SEARCH_METHOD_KEYS = ("search_space", "study")
"""Keys of a study's configuration that control the search and do not affect scores."""


@dataclass(frozen=True)
class BestParams:
    """The changes to params.yaml that apply a trial.

    yaml_before, yaml_after: text of the file. changes: dotted key of the model -> old and new value, defaults included.
    mismatches: settings under which the score was measured and that params.yaml has changed since, by dotted key.
    """

    study: StudySummary
    trial: TrialResult
    yaml_before: str
    yaml_after: str
    changes: dict[str, tuple[Any, Any]]
    mismatches: dict[str, tuple[Any, Any]]

    def raise_if_mismatched(self) -> None:
        """Raise a `ParamsError` if the score was measured with another model or other rows."""
        if self.mismatches:
            raise identity_mismatch_error(self.study.name, self.study.model, self.mismatches)


def apply_trial(name: str, trial_number: int | None = None) -> BestParams:
    """Return the changes to params.yaml that apply a trial of study `name`; write nothing.

    trial_number: None: the best trial.

    Raises:
        InputError: the trial is not complete, or there are several best ones.
        StudyError: no trial is complete.
        ParamsError: the values cannot be written into params.yaml.
    """
    trials = TrialQueue.load(name)
    study = summarize_study(trials)
    trial = select_trial(study, trial_number)
    search = Search.read(study.model)
    search = replace(search, space=replace(search.space, ranges=search_ranges(study)))  # ranges of the study
    differences = trials.identity_differences(search.identity())
    block = copy.deepcopy(trials.get_trials()[trial.number].user_attrs[MODEL_BLOCK])
    values = round_values(search_ranges(study), trial.params)
    for key, value in values.items():
        set_nested(block, key, value)
    yaml_before = paths.PARAMS.read_bytes().decode("utf-8")
    tree = read_yaml()
    new_block = build_model_block(search.space, tree, block, values)
    new_tree = {**tree, "models": {**tree["models"], study.model: new_block}}
    yaml_after = update_yaml(yaml_before, new_tree)
    changes = dict(diff_trees(search.space.base_model.model_dump(mode="json"), _dump_model(new_tree, study.model)))
    mismatches = {key: pair for key, pair in differences.items() if key.partition(".")[0] not in SEARCH_METHOD_KEYS}
    return BestParams(study, trial, yaml_before, yaml_after, changes, mismatches)


def select_trial(study: StudySummary, trial_number: int | None) -> TrialResult:
    """Return the trial to apply: the given one or the best one."""
    if trial_number is None and len(study.pareto_front) > 1 and len(study.objectives) > 1:
        raise InputError(
            f"a trial must be chosen when there are several objectives, but {study.name} has"
            f" {len(study.pareto_front)} Pareto-optimal ones: {', '.join(map(str, study.pareto_front))}; choose one"
            " with --trial"
        )
    default = study.pareto_front[0] if len(study.objectives) > 1 and study.pareto_front else study.best_trial_number
    trial_number = default if trial_number is None else trial_number
    trial = study.get_trial(trial_number)
    if trial_number is None:
        raise StudyError(f"a study must have a complete trial, but {study.name} has none yet; continue the study")
    if trial is None:
        raise InputError(
            f"a trial must be one of the {len(study.trials)} trials of {study.name}, but {trial_number} is not; see"
            f" `fivefold study show {study.name}`"
        )
    if trial.state != "complete":
        reason = f": {trial.reason}" if trial.reason else ""
        best = "" if study.best_trial_number is None else f", the best is {study.best_trial_number}"
        raise InputError(
            f"a trial must be complete, but trial {trial_number} is {trial.state}{reason}; choose another one with"
            f" --trial{best}"
        )
    return trial


def build_model_block(
    space: SearchSpace, params_tree: dict[str, Any], trial_block: dict[str, Any], values: ParamValues
) -> dict[str, Any]:
    """Return the model's block of params.yaml that yields the model of a trial.

    params_tree: params.yaml as it is. trial_block: complete blocks of the trial. values: searched values of the trial.

    Values that equal the defaults are not repeated, unless a block changes its kind.

    Raises:
        ParamsError: no such block yields the model.
    """
    block: dict[str, Any] = copy.deepcopy(params_tree["models"][space.name])
    current = space.tree["models"][space.name]
    for key, value in values.items():
        if not values_equal(get_nested(current, key), value):
            parent = key.rpartition(".")[0]
            set_nested(
                block,
                *(
                    (parent, get_nested(trial_block, parent))
                    if key.rpartition(".")[2] in DISCRIMINATOR_KEYS
                    else (key, value)
                ),
            )
    target = _dump_model(
        {**space.tree, "training": {}, "models": {**space.tree["models"], space.name: {**current, **trial_block}}},
        space.name,
    )
    new_tree = {**params_tree, "models": {**params_tree["models"], space.name: block}}
    for key, (_, value) in list(diff_trees(_dump_model(new_tree, space.name), target)):
        if key.partition(".")[0] in SEARCHABLE_BLOCKS:
            set_nested(block, key, value)
    remaining = dict(diff_trees(_dump_model(new_tree, space.name), target))
    if remaining:
        raise ParamsError(
            f"models.{space.name} must become the model of the trial, but would differ in {', '.join(remaining)};"
            " write the values by hand"
        )
    return block


def _dump_model(params_tree: dict[str, Any], name: str) -> dict[str, Any]:
    """Return every value of a model, with defaults filled in."""
    values: dict[str, Any] = parse_params(params_tree).models[name].model_dump(mode="json")
    return values


def write_params(best_params: BestParams, path: Path = paths.PARAMS) -> None:
    """Replace the text of params.yaml atomically; keep the permissions and links of the file.

    Raises:
        ParamsError: the file was changed since it was read, or the values were found with another configuration.
    """
    best_params.raise_if_mismatched()
    target = path.resolve()
    if target.read_bytes().decode("utf-8") != best_params.yaml_before:
        raise ParamsError(f"{path} must not change while values are written, but did; run this command again")
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(best_params.yaml_after.encode("utf-8"))
            os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)
