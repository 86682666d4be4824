"""The command `fivefold cv`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..paths import enter_project

if TYPE_CHECKING:
    from rich.console import Console

    from ..crossval.crossval import Crossval, Result
    from ..crossval.summary import Summary


def cv(
    models: Annotated[list[str], typer.Argument(help="names of models in params.yaml, of one dataset")],
    folds: Annotated[int, typer.Option(min=2, help="of training and validation rows; test rows are in none")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="times that rows are divided into folds, each time anew")] = 1,
    nested: Annotated[
        bool, typer.Option("--nested", help="search within each fold, as `search` of a model says")
    ] = False,
    trials: Annotated[int | None, typer.Option(min=1, help="of each search; else study.trials")] = None,
    workers: Annotated[int, typer.Option(min=1, help="processes, each with one thread or a GPU")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="of folds and trainings; else params.yaml's")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="print the result as JSON, and how it goes to stderr")
    ] = False,
) -> None:
    """Cross-validate models: mean, deviation and interval of each metric, and whether models differ.

    Results are kept in .fivefold/cv/. Rows of the test set are not touched.
    """
    import json

    from rich.console import Console

    from .. import paths
    from ..crossval.crossval import Crossval, Plan
    from ..crossval.summary import summary_of
    from ..crossval.tables import show

    enter_project()
    plan = Plan(names=tuple(models), folds=folds, repeats=repeats, seed=seed, nested=nested, trials=trials)
    crossval = Crossval.read(plan)
    console, file = Console(stderr=as_json), paths.crossval(f"{plan.title}.json")
    found = _found(crossval, workers, console)
    summary = summary_of(crossval, found)
    text = json.dumps(summary.tree(), indent=2)
    file.write_text(text + "\n")
    if as_json:
        print(text)
    else:
        show(summary, console)
        print(f"all scores: {file}")
    _need_all(summary, found)


def _found(crossval: "Crossval", workers: int, console: "Console") -> "list[Result]":
    """Return what came of each fold, told of as it comes."""
    import sys

    from ..crossval.tables import Coming
    from ..crossval.workers import results
    from ..stages.signals import Stopped, exit_on_signals

    exit_on_signals()
    found = []
    try:
        coming = Coming(crossval, console)
        with results(crossval, workers) as every, coming.bar:
            for result in every:
                coming.show(result)
                found.append(result)
    except Stopped as stop:
        print("cv stopped: nothing is kept of its folds", file=sys.stderr)
        raise typer.Exit(stop.exit_code) from None
    return found


def _need_all(summary: "Summary", found: "list[Result]") -> None:
    """End in an error if a fold has no score."""
    from ..errors import StudyError

    if summary.failed:
        first = summary.failed[0]
        raise StudyError(
            f"every fold must end with a score, but {len(summary.failed)} of {len(found)} did not, the first one, fold"
            f" {first.fold} of {first.model}, since {first.error}"
        )
