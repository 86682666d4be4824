"""The commands `fivefold study ...`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from ..paths import enter_project
from .cli_show import adopt, show

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

    from ..stages.guard import Stopped, exit_on_signals
    from ..stages.run import end

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
