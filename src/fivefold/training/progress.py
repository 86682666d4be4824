"""Tell of a training's progress: a bar on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINES = 10
"""Plain lines that a training prints at most, beside one for every half minute."""


class EpochProgress:
    """A context in which `update` is called after each epoch."""

    def __init__(self, name: str, epochs: int, console: Console | None = None) -> None:
        self.name = name
        self.epochs = epochs
        self.console = console or Console()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[scores]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task(name, total=epochs, scores="")
        self.told = time.monotonic()

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def update(self, epoch: int, metrics: dict[str, float]) -> None:
        """Tell of the end of `epoch`, counted from 0."""
        scores = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items() if name != "lr")
        done = epoch + 1
        self.bar.update(self.task, completed=done, scores=scores)
        step = max(1, self.epochs // LINES)
        if not self.console.is_terminal and (done % step == 0 or time.monotonic() - self.told > 30):
            print(f"{self.name}  epoch {done}/{self.epochs}  {scores}", flush=True)
            self.told = time.monotonic()

    def say(self, line: str) -> None:
        """Say what cannot wait for the end."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
