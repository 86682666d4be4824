"""The commands `fivefold study ...`.

The commands `fivefold study show` and `fivefold study adopt`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..paths import enter_project

StudyArgument = Annotated[
    str, typer.Argument(help="name of the study: that of its model, unless --name said otherwise")
]


def show(
    name: StudyArgument,
    as_json: Annotated[bool, typer.Option("--json", help="all of it as JSON; docs/studies.md tells the keys")] = False,
    top: Annotated[int, typer.Option(min=1, help="trials that are listed")] = 10,
    plots: Annotated[Path | None, typer.Option(help="folder to write pictures into")] = None,
) -> None:
    """Show what a study found: best trials, which keys matter, what was pruned and why. Also while it runs."""
    from rich.console import Console

    from ..tuning.execution.storage import translate_storage_errors
    from ..tuning.execution.trials import TrialQueue
    from ..tuning.results.facts import analyze_study
    from ..tuning.results.report import print_report as show_found

    here = enter_project()
    with translate_storage_errors(name):
        study = analyze_study(TrialQueue.load(name))
    if plots is not None:
        from ..tuning.results.plots import save_plots

        save_plots(study, study.importance, here / plots)
        if study.importance.note:
            print(f"no importance.png: {study.importance.note}", file=sys.stderr)
    if as_json:
        print(study.model_dump_json(indent=2))
        return
    wide = Console()
    show_found(study, top, wide if wide.is_terminal else Console(width=160))


def apply(
    name: StudyArgument,
    trial: Annotated[int | None, typer.Option(help="its number; else the best one")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would change, and write nothing")] = False,
) -> None:
    """Put the values of the best trial into params.yaml; comments and every other line stay."""
    from rich.console import Console

    from ..autoconfig.report import print_diff
    from ..autoconfig.write import render_diff
    from ..tuning.execution.storage import translate_storage_errors
    from ..tuning.results.apply import apply_trial as adopt_trial
    from ..tuning.results.apply import write_params
    from ..tuning.results.report import format_trial_score

    enter_project()
    with translate_storage_errors(name):
        found = adopt_trial(name, trial)
    print(f"trial {found.trial.number} of {name}: {found.study.metric} {format_trial_score(found.trial)}")
    if found.yaml_after == found.yaml_before:
        print("params.yaml has these values already")
        return
    print_diff(render_diff(found.yaml_before, found.yaml_after), Console())
    found.raise_if_mismatched()
    if dry_run:
        print("nothing was written")
        return
    write_params(found)
    print(f"written; next: dvc repro evaluate@{found.study.model}")


app = typer.Typer(no_args_is_help=True, help="Search better values with Optuna, as `search` of a model says.")

ModelArgument = Annotated[str, typer.Argument(help="name of a model in params.yaml")]
StudyNameOption = Annotated[str, typer.Option(help="of the study, where it is not that of the model")]
TrialsOption = Annotated[
    int | None, typer.Option(min=1, help="in all, those of earlier runs included; else study.n_trials")
]
Engine = Literal["process", "ray"]
VectorizeOption = Annotated[
    bool, typer.Option("--stack/--no-stack", help="whether folds and trials of small networks learn as one program")
]


@app.command()
def run(
    model: ModelArgument,
    trials: TrialsOption = None,
    workers: Annotated[int, typer.Option(min=1, help="processes, each with one thread or a GPU")] = 1,
    name: StudyNameOption = "",
    vectorize: VectorizeOption = True,
    engine: Annotated[Engine, typer.Option(help="what workers are: processes, or tasks of a Ray cluster")] = "process",
    address: Annotated[
        str, typer.Option(help="of the Ray cluster: auto, local, or as `ray start` says; ray:// needs ray[client]")
    ] = "",
) -> None:
    """Run a study, or go on with it, until it has so many trials in all."""
    from ..errors import InputError
    from ..tuning.execution.run import run_study as run_study

    if address and engine != "ray":
        raise InputError(f"--address is that of a Ray cluster, but --engine is {engine}; add --engine ray")
    enter_project()
    study = _validate_study_name(name or model)
    ray = (address or "auto") if engine == "ray" else None
    with _exit_on_stop(study):
        found = run_study(model, study, trials, workers, vectorize=vectorize, ray_address=ray)
    which = " --trial N" if len(found.study.directions) > 1 else ""
    print(f"next: fivefold study show {study}, then fivefold study adopt {study}{which}")


@app.command()
def worker(
    model: ModelArgument, trials: TrialsOption = None, name: StudyNameOption = "", vectorize: VectorizeOption = True
) -> None:
    """Take part in a study: all that another machine must start, with FIVEFOLD_STUDY_STORAGE set."""
    from ..tuning.execution.run import open_study
    from ..tuning.execution.storage import storage_location
    from ..tuning.execution.worker import run_worker

    enter_project()
    study = _validate_study_name(name or model)
    with _exit_on_stop(study):
        _, _, total = open_study(model, study, trials)
        print(f"{study}: {total} trials in all, kept in {storage_location(study)}")
        run_worker(model, study, total, vectorize=vectorize, wait=True)


app.command()(show)
app.command()(apply)


@contextmanager
def _exit_on_stop(study: str) -> Iterator[None]:
    """End with one line and the shell's code when a signal asks for it."""
    import sys

    from ..stages.run import exit_process
    from ..stages.signals import StopRequested, install_signal_handlers

    install_signal_handlers()
    try:
        yield
    except StopRequested as stop:
        every = f"{study} stopped: what it found is kept; the same command goes on"
        print(*getattr(stop, "__notes__", [every]), file=sys.stderr)  # a note says what else is left to do
        exit_process(stop.exit_code)


def _validate_study_name(name: str) -> str:
    """Return a name of a study, which becomes part of paths; a `ParamsError` says what it must be."""
    import re

    from ..config.base import NAME_PATTERN
    from ..errors import ParamsError

    if not re.fullmatch(NAME_PATTERN, name):
        raise ParamsError(f"a study's name must match {NAME_PATTERN}, but is {name!r}; choose another")
    return name
