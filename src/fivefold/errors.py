"""Exceptions of fivefold. Each message states the rule, the value and the remedy.

FivefoldError           exit code 1
├── InputError          exit code 2: invalid input of the user
│   ├── ParamsError     params.yaml
│   └── DataError       a source file or its contents
│       └── CheckError  failed data checks, which params.yaml can downgrade to warnings
├── ArtifactError       the output of an earlier stage is missing or was modified
├── TrainingError       training cannot continue
├── ParityError         the exported graph does not reproduce the network
├── TrackingError       MLflow rejected a request or is unreachable
├── StudyError          a study cannot continue
└── BusyError           another process holds the lock of the work folder
"""

from collections.abc import Iterable, Sequence

MAX_MESSAGES = 10
"""Maximum number of check results in the message of a `CheckError`."""


def one_line_message(error: BaseException) -> str:
    """Return the message of an exception of another library in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def format_value(value: object) -> str:
    """Return the repr of a value for a message, at most 80 characters; NumPy scalars are shown as Python numbers."""
    plain = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
    text = repr(plain)
    return text if len(text) <= 80 else f"{text[:77]}..."


class FivefoldError(Exception):
    """Base class of all exceptions of fivefold; stages and commands print it as one line."""

    exit_code = 1


class InputError(FivefoldError):
    """Invalid input of the user."""

    exit_code = 2


class ParamsError(InputError):
    """Invalid value in params.yaml; the message contains the dotted key."""


class DataError(InputError):
    """Invalid source file, or invalid value in it; the message contains the file."""

    def with_source(self, source: str) -> "DataError":
        """Return the error with the source file prepended, unless the message already contains it."""
        return self if source in str(self) else DataError(f"{source}: {self}")


class CheckError(DataError):
    """Failed data checks.

    messages: one per failed check. rules: the violated rules, whose level is set by `checks` in params.yaml.
    """

    def __init__(self, messages: Sequence[str], rules: Iterable[str]) -> None:
        self.messages, self.rules = list(messages), tuple(dict.fromkeys(rules))
        self.summary = "; ".join(messages[:MAX_MESSAGES]) + (
            f" (and {len(messages) - MAX_MESSAGES} more)" if len(messages) > MAX_MESSAGES else ""
        )
        levels = ", ".join(f"{rule}: warning" for rule in self.rules)
        super().__init__(f"{self.summary}; to continue anyway, set `checks: {{{levels}}}`")

    def with_source(self, source: str) -> "CheckError":
        """Return the error with the source file prepended, unless the message already contains it."""
        return (
            self
            if source in self.summary
            else CheckError([f"{source}: {self.messages[0]}", *self.messages[1:]], self.rules)
        )


class ArtifactError(FivefoldError):
    """The output of an earlier stage is missing or was modified."""


class TrainingError(FivefoldError):
    """Training cannot continue, e.g. because the loss is not finite."""


class ParityError(FivefoldError):
    """The exported graph does not reproduce the outputs of the network."""


class TrackingError(FivefoldError):
    """MLflow rejected a request or is unreachable."""


class StudyError(FivefoldError):
    """A study cannot continue: its storage is unreachable, or trials fail repeatedly."""


class BusyError(FivefoldError):
    """Another process is running the same stage in the same folder."""
