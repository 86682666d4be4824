"""Console output of a cross-validation: folds as they finish, then tables, notes and conclusions."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from .crossval import CrossValidation, FoldResult
from .summary import CrossValidationSummary, ModelComparison, choose_decimals, format_fixed, format_number

MAX_TABLE_WIDTH = 1000
"""Largest width of a table, in characters; tables are not truncated to the console, which would truncate numbers."""


class FoldProgress:
    """Prints each result as it arrives; on a terminal below a progress bar, which is shown within `progress_bar`."""

    def __init__(self, crossval: CrossValidation, console: Console) -> None:
        self.crossval, self.console = crossval, console
        self.total = len(crossval.fold_splits) * len(crossval.plan.model_names)
        self.progress_bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            redirect_stdout=False,  # the output of trainings goes to a log file
            redirect_stderr=False,
        )
        self.task = self.progress_bar.add_task("folds", total=self.total)

    def report(self, result: FoldResult) -> None:
        """Print the result of a fold and advance the progress bar."""
        self.progress_bar.advance(self.task)
        self.console.print(self._result_line(result), markup=False, highlight=False, soft_wrap=True)

    def _result_line(self, result: FoldResult) -> str:
        plan, metric = self.crossval.plan, self.crossval.objective_metric.name
        label = f"fold {result.fold}/{plan.folds}"
        if plan.repeats > 1:
            label = f"repeat {result.repeat}/{plan.repeats} {label}"
        if result.error:
            return f"{result.model}  {label}  no score: {result.error}"
        line = f"{result.model}  {label}  {metric} {format_number(result.scores[metric])}"
        if (trial := result.best_trial) is None:
            return f"{line}  epoch {result.best_epoch} of {result.n_epochs}  {result.seconds:.1f} s"
        values = " ".join(f"{key.rpartition('.')[2]}={_format_value(value)}" for key, value in trial.params.items())
        inner = (
            f"inner {trial.metric} {format_number(trial.inner_score)} of {trial.n_complete} trials"
            f" ({trial.n_trials - trial.n_complete} pruned or failed)"
        )
        return f"{line}  {inner}  {values}  {result.seconds:.1f} s"


def print_summary(summary: CrossValidationSummary, console: Console) -> None:
    """Print the estimates, comparisons, notes and conclusions."""
    tables = [_estimates_table(summary, name) for name in summary.estimates]
    tables += [_comparison_table(summary, pair) for pair in summary.comparisons]
    for table in tables:
        table.width = Measurement.get(console, console.options.update(width=MAX_TABLE_WIDTH), table).maximum
        console.print(table, crop=False, soft_wrap=True)
    if summary.estimates:
        _print_lines(console, summary.notes(), "dim")
    _print_lines(console, summary.conclusions(), "bold")


def _print_lines(console: Console, lines: Sequence[str], style: str) -> None:
    for line in lines:
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _estimates_table(summary: CrossValidationSummary, model_name: str) -> Table:
    plan = summary.crossval.plan
    repeats = f", {plan.repeats} times" if plan.repeats > 1 else ""
    table = _build_table(
        f"{model_name}: {plan.folds} folds{repeats}", "metric", "mean", "std", "95% CI", "worst", "best"
    )
    for metric, estimate in summary.estimates[model_name].items():
        scores = [result.scores[metric] for result in summary.results_for(model_name)]
        objective_metric = summary.crossval.objective_metrics(model_name).get(metric)
        ordered = sorted(scores, reverse=objective_metric is not None and objective_metric.direction == "lower")
        n_decimals = choose_decimals([estimate.mean], estimate.std)
        mean, std, low, high, worst, best = (
            format_fixed(value, n_decimals)
            for value in (estimate.mean, estimate.std, estimate.low, estimate.high, ordered[0], ordered[-1])
        )
        table.add_row(metric, mean, std, f"{low} to {high}", *((worst, best) if objective_metric else ("", "")))
    return table


def _comparison_table(summary: CrossValidationSummary, comparison: ModelComparison) -> Table:
    model_a, model_b, adjusted = comparison.model_a, comparison.model_b, len(summary.comparisons) > 1
    table = _build_table(
        f"{model_a} - {model_b} (paired folds)", "metric", model_a, model_b, "difference", "95% CI", "p",
        *(["adjusted p"] if adjusted else []),
    )  # fmt: skip
    for metric, difference in comparison.differences.items():
        means = [summary.estimates[name][metric].mean for name in (model_a, model_b)]
        n_decimals = choose_decimals(means, difference.mean)
        mean_a, mean_b, mean, low, high = (
            format_fixed(value, n_decimals) for value in (*means, difference.mean, difference.low, difference.high)
        )
        adjusted_p = [f"{comparison.adjusted_p_values[metric]:.2g}"] if adjusted else []
        table.add_row(metric, mean_a, mean_b, mean, f"{low} to {high}", f"{difference.p_value:.2g}", *adjusted_p)
    return table


def _build_table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other, justify="right", no_wrap=True)
    return table


def _format_value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
