"""What a person sees of a cross-validation: folds as they come, then tables, then what is known."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from .crossval import CrossValidation, FoldResult
from .summary import CrossValidationSummary, ModelComparison, choose_decimals, format_fixed, format_number

MAX_TABLE_WIDTH = 1000
"""Columns of a table at most; none is cut to fit a screen: no number may be."""


class FoldProgress:
    """Shows each result as it comes: a line, above a bar on a terminal, which stands there within `bar`."""

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
            redirect_stdout=False,  # what trainings print goes into a file
            redirect_stderr=False,
        )
        self.task = self.progress_bar.add_task("folds", total=self.total)

    def report(self, result: FoldResult) -> None:
        """Tell of a fold."""
        self.progress_bar.advance(self.task)
        self.console.print(self._result_line(result), markup=False, highlight=False, soft_wrap=True)

    def _result_line(self, result: FoldResult) -> str:
        plan, goal = self.crossval.plan, self.crossval.objective_metric.name
        which = f"fold {result.fold}/{plan.folds}"
        if plan.repeats > 1:
            which = f"repeat {result.repeat}/{plan.repeats} {which}"
        if result.error:
            return f"{result.model}  {which}  no score: {result.error}"
        said = f"{result.model}  {which}  {goal} {format_number(result.scores[goal])}"
        if (won := result.best_trial) is None:
            return f"{said}  epoch {result.best_epoch} of {result.n_epochs}  {result.seconds:.1f} s"
        values = " ".join(f"{key.rpartition('.')[2]}={_format_value(value)}" for key, value in won.params.items())
        inner = f"inner {won.metric} {format_number(won.inner_score)} of {won.n_complete} trials ({won.n_trials - won.n_complete} given up)"
        return f"{said}  {inner}  {values}  {result.seconds:.1f} s"


def print_summary(summary: CrossValidationSummary, console: Console) -> None:
    """Print estimates, comparisons, what is known and how it is meant."""
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
    times = f", {plan.repeats} times" if plan.repeats > 1 else ""
    table = _build_table(
        f"{model_name}: {plan.folds} folds{times}", "metric", "mean", "deviation", "95 % interval", "worst", "best"
    )
    for metric, found in summary.estimates[model_name].items():
        scores = [result.scores[metric] for result in summary.results_for(model_name)]
        goal = summary.crossval.objective_metrics(model_name).get(metric)
        ends = sorted(scores, reverse=goal is not None and goal.direction == "lower")
        places = choose_decimals([found.mean], found.std)
        mean, deviation, low, high, worst, best = (
            format_fixed(value, places) for value in (found.mean, found.std, found.low, found.high, ends[0], ends[-1])
        )
        table.add_row(metric, mean, deviation, f"{low} to {high}", *((worst, best) if goal else ("", "")))
    return table


def _comparison_table(summary: CrossValidationSummary, comparison: ModelComparison) -> Table:
    several = len(summary.comparisons) > 1
    table = _build_table(
        f"{comparison.model_a} less {comparison.model_b}, on the same folds", "metric", comparison.model_a, comparison.model_b, "difference", "95 %", "p",
        *(["of all"] if several else []),
    )  # fmt: skip
    for metric, found in comparison.differences.items():
        means = [summary.estimates[name][metric].mean for name in (comparison.model_a, comparison.model_b)]
        places = choose_decimals(means, found.mean)
        one, other, less, low, high = (
            format_fixed(value, places) for value in (*means, found.mean, found.low, found.high)
        )
        of_all = [f"{comparison.adjusted_p_values[metric]:.2g}"] if several else []
        table.add_row(metric, one, other, less, f"{low} to {high}", f"{found.p_value:.2g}", *of_all)
    return table


def _build_table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other, justify="right", no_wrap=True)
    return table


def _format_value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
