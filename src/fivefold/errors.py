"""Every error that fivefold raises on purpose; each says the rule, the value and the remedy.

FivefoldError           exit code 1
├── InputError          exit code 2: something a person wrote or brought
│   ├── ParamsError     params.yaml
│   └── DataError       a source file, or what stands in it
│       └── CheckError  checks of the data found errors, which params.yaml may make warnings
├── ArtifactError       what an earlier stage wrote is missing or was altered
├── TrainingError       training cannot go on
├── ParityError         the exported graph does not compute what the network computes
├── TrackingError       MLflow refused, or could not be reached
├── StudyError          a study cannot go on
└── BusyError           another process holds the work folder
"""

from collections.abc import Iterable, Sequence

MAX_MESSAGES = 10
"""Errors of a check that a line tells at most."""


def one_line_message(error: BaseException) -> str:
    """Return what an error of somebody else's says, as part of a one-line message."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def format_value(value: object) -> str:
    """Return a value as a message shows it: as Python writes it, a NumPy number as a number, a long one cut."""
    plain = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
    text = repr(plain)
    return text if len(text) <= 80 else f"{text[:77]}..."


class FivefoldError(Exception):
    """The root: a stage prints it as one line and stops."""

    exit_code = 1


class InputError(FivefoldError):
    """Something that a person wrote or brought breaks a rule."""

    exit_code = 2


class ParamsError(InputError):
    """A value in params.yaml breaks a rule; names the dotted key."""


class DataError(InputError):
    """A source file, or a value in it, breaks a rule; names the file."""

    def with_source(self, source: str) -> "DataError":
        """Return the same error with the file that it is about, if its text does not name it."""
        return self if source in str(self) else DataError(f"{source}: {self}")


class CheckError(DataError):
    """What checks of the data found; `rules` are those that it breaks, which `checks` in params.yaml may grade."""

    def __init__(self, messages: Sequence[str], rules: Iterable[str]) -> None:
        self.messages, self.rules = list(messages), tuple(dict.fromkeys(rules))
        self.summary = "; ".join(messages[:MAX_MESSAGES]) + (
            f" (and {len(messages) - MAX_MESSAGES} more)" if len(messages) > MAX_MESSAGES else ""
        )
        levels = ", ".join(f"{rule}: warning" for rule in self.rules)
        super().__init__(f"{self.summary}; to go on all the same, set `checks: {{{levels}}}`")

    def with_source(self, source: str) -> "CheckError":
        """Return the same error with the file that it is about, if its text does not name it."""
        return (
            self
            if source in self.summary
            else CheckError([f"{source}: {self.messages[0]}", *self.messages[1:]], self.rules)
        )


class ArtifactError(FivefoldError):
    """What an earlier stage wrote is missing or was altered since."""


class TrainingError(FivefoldError):
    """Training cannot go on: a loss that is not finite, say."""


class ParityError(FivefoldError):
    """The exported graph does not compute what the network computes."""


class TrackingError(FivefoldError):
    """MLflow refused what it was told, or could not be reached."""


class StudyError(FivefoldError):
    """A study cannot go on: its storage does not answer, or trial after trial fails."""


class BusyError(FivefoldError):
    """Another process is running this stage in this folder."""
