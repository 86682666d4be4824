"""What a stage can say of a run; a spool is a file of these, one a line, as JSON."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from ..config.base import Strict

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


class Run(Strict):
    """Whose events follow: the run of this fingerprint, made if there is none."""

    kind: Literal["run"] = "run"
    name: str
    time: int = Field(description="milliseconds since 1970")
    tags: dict[str, str]


class State(Strict):
    """The run's state has changed."""

    kind: Literal["state"] = "state"
    status: Status
    time: int = Field(description="milliseconds since 1970")


class Values(Strict):
    """Parameters of the run, by dotted key."""

    kind: Literal["values"] = "values"
    values: dict[str, str]


class Tags(Strict):
    """Tags of the run."""

    kind: Literal["tags"] = "tags"
    tags: dict[str, str]


class Metrics(Strict):
    """Numbers measured at one step."""

    kind: Literal["metrics"] = "metrics"
    step: int
    time: int = Field(description="milliseconds since 1970")
    values: dict[str, float]


class Input(Strict):
    """A dataset that went into the run."""

    kind: Literal["input"] = "input"
    name: str
    digest: str
    context: str
    source: str
    columns: str = Field(description="JSON of MLflow's dataset schema")
    profile: str = Field(description="JSON of counts")


class Artifact(Strict):
    """A file to keep with the run; the spool has its own copy."""

    kind: Literal["artifact"] = "artifact"
    place: str
    folder: str

    @property
    def places(self) -> tuple[str, ...]:
        """All copies in the spool."""
        return (self.place,)


class Image(Strict):
    """A picture that belongs to a step, PNG; the spool has its own copy. Those of one key are shown as a series."""

    kind: Literal["image"] = "image"
    place: str
    sha256: str
    key: str
    step: int

    @property
    def places(self) -> tuple[str, ...]:
        """All copies in the spool."""
        return (self.place,)


class Version(Strict):
    """An exported graph to register as the next version of a model; the spool has its own copies."""

    kind: Literal["version"] = "version"
    place: str
    sha256: str
    training: tuple[str, ...] = Field(description="places of what train wrote, its manifest among them")
    trained: str = Field(description="digest of all that train wrote")
    model: str
    input: str = Field(description="name of the graph's input")
    takes: tuple[int, ...] = Field(description="shape of one record of it")
    takes_dtype: str
    output: str = Field(description="name of the graph's output")
    gives: tuple[int, ...] = Field(description="shape of one record of it")
    gives_dtype: str
    classes: int = Field(default=0, description="how many of the last numbers of the input ask for a class")
    into: str = Field(default="", description="class that images are translated into, if that is what the graph does")
    example: str = Field(description="JSON of a few rows of the input")
    requirements: tuple[str, ...]
    tags: dict[str, str]

    @property
    def places(self) -> tuple[str, ...]:
        """All copies in the spool."""
        return (self.place, *self.training)


Event = Annotated[
    Run | State | Values | Tags | Metrics | Input | Artifact | Image | Version, Field(discriminator="kind")
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
