"""What a stage can say of a run; a spool is a file of these, one a line, as JSON."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from ..config.base import StrictModel

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


class Run(StrictModel):
    """Whose events follow: the run of this fingerprint, made if there is none."""

    kind: Literal["run"] = "run"
    name: str
    time: int = Field(description="milliseconds since 1970")
    tags: dict[str, str]


class StatusChange(StrictModel):
    """The run's state has changed."""

    kind: Literal["state"] = "state"
    status: Status
    time: int = Field(description="milliseconds since 1970")


class Params(StrictModel):
    """Parameters of the run, by dotted key."""

    kind: Literal["values"] = "values"
    params: dict[str, str]


class Tags(StrictModel):
    """Tags of the run."""

    kind: Literal["tags"] = "tags"
    tags: dict[str, str]


class Metrics(StrictModel):
    """Numbers measured at one step."""

    kind: Literal["metrics"] = "metrics"
    step: int
    time: int = Field(description="milliseconds since 1970")
    values: dict[str, float]


class DatasetInput(StrictModel):
    """A dataset that went into the run."""

    kind: Literal["input"] = "input"
    name: str
    digest: str
    context: str
    source: str
    columns: str = Field(description="JSON of MLflow's dataset schema")
    profile: str = Field(description="JSON of counts")


class Artifact(StrictModel):
    """A file to keep with the run; the spool has its own copy."""

    kind: Literal["artifact"] = "artifact"
    spool_path: str
    artifact_path: str

    @property
    def spool_paths(self) -> tuple[str, ...]:
        """All copies in the spool."""
        return (self.spool_path,)


class Image(StrictModel):
    """A picture that belongs to a step, PNG; the spool has its own copy. Those of one key are shown as a series."""

    kind: Literal["image"] = "image"
    spool_path: str
    sha256: str
    key: str
    step: int

    @property
    def spool_paths(self) -> tuple[str, ...]:
        """All copies in the spool."""
        return (self.spool_path,)


class ModelVersion(StrictModel):
    """An exported graph to register as the next version of a model; the spool has its own copies."""

    kind: Literal["version"] = "version"
    spool_path: str
    sha256: str
    training_files: tuple[str, ...] = Field(description="places of what train wrote, its manifest among them")
    training_digest: str = Field(description="digest of all that train wrote")
    model: str
    input_name: str = Field(description="name of the graph's input")
    input_shape: tuple[int, ...] = Field(description="shape of one record of it")
    input_dtype: str
    output_name: str = Field(description="name of the graph's output")
    output_shape: tuple[int, ...] = Field(description="shape of one record of it")
    output_dtype: str
    n_classes: int = Field(default=0, description="how many of the last numbers of the input ask for a class")
    target_class: str = Field(
        default="", description="class that images are translated into, if that is what the graph does"
    )
    input_example: str = Field(description="JSON of a few rows of the input")
    pip_requirements: tuple[str, ...]
    tags: dict[str, str]

    @property
    def spool_paths(self) -> tuple[str, ...]:
        """All copies in the spool."""
        return (self.spool_path, *self.training_files)


Event = Annotated[
    Run | StatusChange | Params | Tags | Metrics | DatasetInput | Artifact | Image | ModelVersion,
    Field(discriminator="kind"),
]

EVENT_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)
