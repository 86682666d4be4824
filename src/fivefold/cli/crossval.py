"""The command `fivefold cv`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..paths import enter_project

if TYPE_CHECKING:
    from rich.console import Console

    from ..crossval.crossval import CrossValidation, FoldResult
    from ..crossval.summary import CrossValidationSummary


def cv(
    models: Annotated[list[str], typer.Argument(help="names of models in params.yaml, all on the same dataset")],
    folds: Annotated[int, typer.Option(min=2, help="number of folds of the training and validation rows")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="number of repetitions with different folds")] = 1,
    nested: Annotated[
        bool, typer.Option("--nested", help="nested cross-validation: search the `search` space within each fold")
    ] = False,
    trials: Annotated[
        int | None, typer.Option(min=1, help="trials per search with --nested; default: study.n_trials")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="number of processes, each with one thread or a GPU")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="random seed; default: that of params.yaml")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="print the result as JSON, and the progress to stderr")
    ] = False,
) -> None:
    """Cross-validate models: mean, standard deviation and confidence interval of each metric, and comparison of models.

    Results are stored in .fivefold/cv/. Test rows are not used.
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
    results = _collect_results(crossval, workers, console)
    summary = summarize(crossval, results)
    text = json.dumps(summary.to_dict(), indent=2)
    file.write_text(text + "\n")
    if as_json:
        print(text)
    else:
        print_summary(summary, console)
        print(f"all scores: {file}")
    _require_all_scores(summary, results)


def _collect_results(crossval: "CrossValidation", workers: int, console: "Console") -> "list[FoldResult]":
    """Return the result of each fold, reporting progress on the console."""
    import sys

    from ..crossval.tables import FoldProgress
    from ..crossval.workers import run_folds
    from ..stages.signals import StopRequested, install_signal_handlers

    install_signal_handlers()
    results = []
    try:
        progress = FoldProgress(crossval, console)
        with run_folds(crossval, workers) as completed, progress.progress_bar:
            for result in completed:
                progress.report(result)
                results.append(result)
    except StopRequested as stop:
        print("cross-validation interrupted; partial results were discarded", file=sys.stderr)
        raise typer.Exit(stop.exit_code) from None
    return results


def _require_all_scores(summary: "CrossValidationSummary", results: "list[FoldResult]") -> None:
    """Raise a `StudyError` if a fold has no score."""
    from ..errors import StudyError

    if summary.failed_results:
        first = summary.failed_results[0]
        raise StudyError(
            f"every fold must end with a score, but {len(summary.failed_results)} of {len(results)} did not, the first"
            f" one, fold {first.fold} of {first.model}, because of: {first.error}"
        )
