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

Study = Annotated[str, typer.Argument(help="name of the study: that of its model, unless --name said otherwise")]


def show(
    name: Study,
    as_json: Annotated[bool, typer.Option("--json", help="all of it as JSON; docs/studies.md tells the keys")] = False,
    top: Annotated[int, typer.Option(min=1, help="trials that are listed")] = 10,
    plots: Annotated[Path | None, typer.Option(help="folder to write pictures into")] = None,
) -> None:
    """Show what a study found: best trials, which keys matter, what was pruned and why. Also while it runs."""
    from rich.console import Console

    from ..tuning.execution.storage import reading
    from ..tuning.execution.trials import Trials
    from ..tuning.results.facts import found
    from ..tuning.results.report import show as show_found

    here = enter_project()
    with reading(name):
        study = found(Trials.load(name))
    if plots is not None:
        from ..tuning.results.plots import draw

        draw(study, study.importance, here / plots)
        if study.importance.note:
            print(f"no importance.png: {study.importance.note}", file=sys.stderr)
    if as_json:
        print(study.model_dump_json(indent=2))
        return
    wide = Console()
    show_found(study, top, wide if wide.is_terminal else Console(width=160))


def adopt(
    name: Study,
    trial: Annotated[int | None, typer.Option(help="its number; else the best one")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would change, and write nothing")] = False,
) -> None:
    """Put the values of the best trial into params.yaml; comments and every other line stay."""
    from rich.console import Console

    from ..autoconfig.report import show_difference
    from ..autoconfig.write import difference
    from ..tuning.execution.storage import reading
    from ..tuning.results.apply import adopt as adopt_trial
    from ..tuning.results.apply import write
    from ..tuning.results.report import scored

    enter_project()
    with reading(name):
        found = adopt_trial(name, trial)
    print(f"trial {found.trial.number} of {name}: {found.study.metric} {scored(found.trial)}")
    if found.after == found.before:
        print("params.yaml has these values already")
        return
    show_difference(difference(found.before, found.after), Console())
    found.refuse_others()
    if dry_run:
        print("nothing was written")
        return
    write(found)
    print(f"written; next: dvc repro evaluate@{found.study.model}")


app = typer.Typer(no_args_is_help=True, help="Search better values with Optuna, as `search` of a model says.")

Model = Annotated[str, typer.Argument(help="name of a model in params.yaml")]
Name = Annotated[str, typer.Option(help="of the study, where it is not that of the model")]
Total = Annotated[int | None, typer.Option(min=1, help="in all, those of earlier runs included; else study.trials")]
Engine = Literal["process", "ray"]
Stack = Annotated[
    bool, typer.Option("--stack/--no-stack", help="whether folds and trials of small networks learn as one program")
]


@app.command()
def run(
    model: Model,
    trials: Total = None,
    workers: Annotated[int, typer.Option(min=1, help="processes, each with one thread or a GPU")] = 1,
    name: Name = "",
    stack: Stack = True,
    engine: Annotated[Engine, typer.Option(help="what workers are: processes, or tasks of a Ray cluster")] = "process",
    address: Annotated[
        str, typer.Option(help="of the Ray cluster: auto, local, or as `ray start` says; ray:// needs ray[client]")
    ] = "",
) -> None:
    """Run a study, or go on with it, until it has so many trials in all."""
    from ..errors import InputError
    from ..tuning.execution.run import run as run_study

    if address and engine != "ray":
        raise InputError(f"--address is that of a Ray cluster, but --engine is {engine}; add --engine ray")
    enter_project()
    study = _checked(name or model)
    ray = (address or "auto") if engine == "ray" else None
    with _stoppable(study):
        found = run_study(model, study, trials, workers, stack=stack, address=ray)
    which = " --trial N" if len(found.study.directions) > 1 else ""
    print(f"next: fivefold study show {study}, then fivefold study adopt {study}{which}")


@app.command()
def worker(model: Model, trials: Total = None, name: Name = "", stack: Stack = True) -> None:
    """Take part in a study: all that another machine must start, with FIVEFOLD_STUDY_STORAGE set."""
    from ..tuning.execution.run import start
    from ..tuning.execution.storage import where
    from ..tuning.execution.worker import work

    enter_project()
    study = _checked(name or model)
    with _stoppable(study):
        _, _, total = start(model, study, trials)
        print(f"{study}: {total} trials in all, kept in {where(study)}")
        work(model, study, total, stack=stack, wait=True)


app.command()(show)
app.command()(adopt)


@contextmanager
def _stoppable(study: str) -> Iterator[None]:
    """End with one line and the shell's code when a signal asks for it."""
    import sys

    from ..stages.run import end
    from ..stages.signals import Stopped, exit_on_signals

    exit_on_signals()
    try:
        yield
    except Stopped as stop:
        every = f"{study} stopped: what it found is kept; the same command goes on"
        print(*getattr(stop, "__notes__", [every]), file=sys.stderr)  # a note says what else is left to do
        end(stop.exit_code)


def _checked(name: str) -> str:
    """Return a name of a study, which becomes part of paths; a `ParamsError` says what it must be."""
    import re

    from ..config.base import NAME_PATTERN
    from ..errors import ParamsError

    if not re.fullmatch(NAME_PATTERN, name):
        raise ParamsError(f"a study's name must match {NAME_PATTERN}, but is {name!r}; choose another")
    return name
