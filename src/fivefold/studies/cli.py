"""The commands `fivefold study ...`."""

from typing import Annotated

import typer

from ..paths import enter_project

app = typer.Typer(no_args_is_help=True, help="Search better values with Optuna, as `search` of a model says.")

Model = Annotated[str, typer.Argument(help="name of a model in params.yaml")]
Name = Annotated[str, typer.Option(help="of the study, where it is not that of the model")]
Total = Annotated[int | None, typer.Option(min=1, help="in all, those of earlier runs included; else study.trials")]

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
) -> None:
    """Run a study, or go on with it, until it has so many trials in all."""
    from .run import run as run_study

    enter_project()
    run_study(model, _checked(name or model), trials, workers, stack=stack)


@app.command()
def worker(model: Model, trials: Total = None, name: Name = "", stack: Stack = True) -> None:
    """Take part in a study: all that another machine must start, with FIVEFOLD_STUDY_STORAGE set."""
    from ..stages.guard import exit_on_signals
    from .run import start
    from .worker import work

    enter_project()
    exit_on_signals()
    study = _checked(name or model)
    _, _, total = start(model, study, trials)
    work(model, study, total, stack=stack)


def _checked(name: str) -> str:
    """Return a name of a study, which becomes part of paths; a `ParamsError` says what it must be."""
    import re

    from ..errors import ParamsError
    from ..params.base import NAME_PATTERN

    if not re.fullmatch(NAME_PATTERN, name):
        raise ParamsError(f"a study's name must match {NAME_PATTERN}, but is {name!r}; choose another")
    return name
