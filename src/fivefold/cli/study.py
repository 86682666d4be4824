"""The commands `fivefold study run`, `worker`, `show` and `apply`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..paths import enter_project
from .renames import CommandGroup

app = typer.Typer(
    cls=CommandGroup, no_args_is_help=True, help="Search hyperparameters with Optuna, in the `search` space of a model."
)

ModelArgument = Annotated[str, typer.Argument(help="name of a model in params.yaml")]
StudyArgument = Annotated[str, typer.Argument(help="name of the study: that of its model, unless set by --name")]
StudyNameOption = Annotated[str, typer.Option(help="name of the study; default: name of the model")]
TrialsOption = Annotated[
    int | None, typer.Option(min=1, help="total number of trials, including earlier runs; default: study.n_trials")
]
VectorizeOption = Annotated[
    bool,
    typer.Option("--vectorize/--no-vectorize", help="train folds and trials of small networks as one tensor program"),
]
Engine = Literal["process", "ray"]


@app.command()
def run(
    model: ModelArgument,
    trials: TrialsOption = None,
    workers: Annotated[int, typer.Option(min=1, help="number of workers, each with one thread or a GPU")] = 1,
    name: StudyNameOption = "",
    vectorize: VectorizeOption = True,
    engine: Annotated[
        Engine, typer.Option(help="run workers as local processes or as tasks of a Ray cluster")
    ] = "process",
    address: Annotated[
        str,
        typer.Option(
            help="Ray cluster: auto, local, or the address printed by `ray start`; ray:// needs ray\\[client]"
        ),
    ] = "",
) -> None:
    """Run or resume a study until it has the given number of trials."""
    from ..errors import InputError
    from ..tuning.execution.run import run_study

    if address and engine != "ray":
        raise InputError(f"--address needs --engine ray, but --engine is {engine}; add --engine ray")
    enter_project()
    study = _validate_study_name(name or model)
    ray_address = (address or "auto") if engine == "ray" else None
    with _exit_on_stop(study):
        result = run_study(model, study, trials, workers, vectorize=vectorize, ray_address=ray_address)
    trial_option = " --trial N" if len(result.study.directions) > 1 else ""
    print(f"next: fivefold study show {study}, then fivefold study apply {study}{trial_option}")


@app.command()
def worker(
    model: ModelArgument, trials: TrialsOption = None, name: StudyNameOption = "", vectorize: VectorizeOption = True
) -> None:
    """Run trials of a study from another machine; set FIVEFOLD_STUDY_STORAGE to the shared storage."""
    from ..tuning.execution.run import open_study
    from ..tuning.execution.storage import storage_location
    from ..tuning.execution.worker import run_worker

    enter_project()
    study = _validate_study_name(name or model)
    with _exit_on_stop(study):
        _, _, total = open_study(model, study, trials)
        print(f"{study}: {total} trials in all, stored in {storage_location(study)}")
        run_worker(model, study, total, vectorize=vectorize, wait=True)


@app.command()
def show(
    name: StudyArgument,
    as_json: Annotated[
        bool, typer.Option("--json", help="print everything as JSON; docs/studies.md describes the keys")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="number of trials to list")] = 10,
    plots: Annotated[Path | None, typer.Option(help="folder to write plots to")] = None,
) -> None:
    """Show the results of a study, finished or running: best trials, parameter importance, pruned and failed trials."""
    from rich.console import Console

    from ..tuning.execution.storage import translate_storage_errors
    from ..tuning.execution.trials import TrialQueue
    from ..tuning.results.facts import analyze_study
    from ..tuning.results.report import print_report

    working_dir = enter_project()
    with translate_storage_errors(name):
        study = analyze_study(TrialQueue.load(name))
    if plots is not None:
        from ..tuning.results.plots import save_plots

        save_plots(study, study.importance, working_dir / plots)
        if study.importance.note:
            print(f"no importance.png: {study.importance.note}", file=sys.stderr)
    if as_json:
        print(study.model_dump_json(indent=2))
        return
    console = Console()
    print_report(study, top, console if console.is_terminal else Console(width=160))


@app.command()
def apply(
    name: StudyArgument,
    trial: Annotated[int | None, typer.Option(help="number of the trial; default: the best one")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show the changes of params.yaml without writing them")
    ] = False,
) -> None:
    """Write the values of the best trial into params.yaml, preserving comments and all other lines."""
    from rich.console import Console

    from ..autoconfig.report import print_diff
    from ..autoconfig.write import render_diff
    from ..tuning.execution.storage import translate_storage_errors
    from ..tuning.results.apply import apply_trial, write_params
    from ..tuning.results.report import format_trial_score

    enter_project()
    with translate_storage_errors(name):
        best = apply_trial(name, trial)
    print(f"trial {best.trial.number} of {name}: {best.study.metric} {format_trial_score(best.trial)}")
    if best.yaml_after == best.yaml_before:
        print("params.yaml already has these values")
        return
    print_diff(render_diff(best.yaml_before, best.yaml_after), Console())
    best.raise_if_mismatched()
    if dry_run:
        print("nothing was written")
        return
    write_params(best)
    print(f"written; next: dvc repro evaluate@{best.study.model}")


@contextmanager
def _exit_on_stop(study: str) -> Iterator[None]:
    """On SIGINT or SIGTERM, print one line and exit with the shell's code."""
    from ..stages.run import exit_process
    from ..stages.signals import StopRequested, install_signal_handlers

    install_signal_handlers()
    try:
        yield
    except StopRequested as stop:
        message = f"{study} stopped; finished trials are stored, rerun the same command to continue"
        print(*getattr(stop, "__notes__", [message]), file=sys.stderr)  # a note describes what remains to be done
        exit_process(stop.exit_code)


def _validate_study_name(name: str) -> str:
    """Return the name of a study, which becomes part of file paths.

    Raises:
        ParamsError: the name does not match the pattern of names.
    """
    import re

    from ..config.base import NAME_PATTERN
    from ..errors import ParamsError

    if not re.fullmatch(NAME_PATTERN, name):
        raise ParamsError(f"the name of a study must match {NAME_PATTERN}, but is {name!r}; choose another")
    return name
