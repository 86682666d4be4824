"""The command `fivefold cv`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..paths import enter_project

if TYPE_CHECKING:
    from rich.console import Console

    from ..crossval.crossval import CrossValidation, FoldResult
    from ..crossval.summary import CrossValidationSummary


def cv(
    models: Annotated[list[str], typer.Argument(help="names of models in params.yaml, of one dataset")],
    folds: Annotated[int, typer.Option(min=2, help="of training and validation rows; test rows are in none")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="times that rows are divided into folds, each time anew")] = 1,
    nested: Annotated[
        bool, typer.Option("--nested", help="search within each fold, as `search` of a model says")
    ] = False,
    trials: Annotated[int | None, typer.Option(min=1, help="of each search; else study.n_trials")] = None,
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
    from ..crossval.crossval import CrossValidation, Plan
    from ..crossval.summary import summarize
    from ..crossval.tables import print_summary

    enter_project()
    plan = Plan(model_names=tuple(models), folds=folds, repeats=repeats, seed=seed, nested=nested, trials=trials)
    crossval = CrossValidation.read(plan)
    console, file = Console(stderr=as_json), paths.crossval_dir(f"{plan.file_stem}.json")
    found = _collect_results(crossval, workers, console)
    summary = summarize(crossval, found)
    text = json.dumps(summary.to_dict(), indent=2)
    file.write_text(text + "\n")
    if as_json:
        print(text)
    else:
        print_summary(summary, console)
        print(f"all scores: {file}")
    _require_all_scores(summary, found)


def _collect_results(crossval: "CrossValidation", workers: int, console: "Console") -> "list[FoldResult]":
    """Return what came of each fold, told of as it comes."""
    import sys

    from ..crossval.tables import FoldProgress
    from ..crossval.workers import run_folds
    from ..stages.signals import StopRequested, install_signal_handlers

    install_signal_handlers()
    found = []
    try:
        coming = FoldProgress(crossval, console)
        with run_folds(crossval, workers) as every, coming.progress_bar:
            for result in every:
                coming.report(result)
                found.append(result)
    except StopRequested as stop:
        print("cv stopped: nothing is kept of its folds", file=sys.stderr)
        raise typer.Exit(stop.exit_code) from None
    return found


def _require_all_scores(summary: "CrossValidationSummary", results: "list[FoldResult]") -> None:
    """End in an error if a fold has no score."""
    from ..errors import StudyError

    if summary.failed_results:
        first = summary.failed_results[0]
        raise StudyError(
            f"every fold must end with a score, but {len(summary.failed_results)} of {len(results)} did not, the first one, fold"
            f" {first.fold} of {first.model}, since {first.error}"
        )
