"""Events that a stage logs about a run. A spool file has one event per line, as JSON."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from ..config.base import StrictModel

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


class Run(StrictModel):
    """The run that the following events belong to; created if no run has this fingerprint."""

    kind: Literal["run"] = "run"
    name: str
    time: int = Field(description="milliseconds since 1970")
    tags: dict[str, str]


class StatusChange(StrictModel):
    """A change of the run's status."""

    kind: Literal["status"] = "status"
    status: Status
    time: int = Field(description="milliseconds since 1970")


class Params(StrictModel):
    """Parameters of the run, by dotted key."""

    kind: Literal["params"] = "params"
    params: dict[str, str]


class Tags(StrictModel):
    """Tags of the run."""

    kind: Literal["tags"] = "tags"
    tags: dict[str, str]


class Metrics(StrictModel):
    """Metrics of one step."""

    kind: Literal["metrics"] = "metrics"
    step: int
    time: int = Field(description="milliseconds since 1970")
    values: dict[str, float]


class DatasetInput(StrictModel):
    """A dataset used by the run."""

    kind: Literal["dataset"] = "dataset"
    name: str
    digest: str
    context: str
    source: str
    columns: str = Field(description="dataset schema of MLflow, as JSON")
    profile: str = Field(description="number of rows and classes, as JSON")


class Artifact(StrictModel):
    """A file to log as an artifact of the run; the spool has its own copy."""

    kind: Literal["artifact"] = "artifact"
    spool_path: str
    artifact_path: str

    @property
    def spool_paths(self) -> tuple[str, ...]:
        """Paths of all copies in the spool."""
        return (self.spool_path,)


class Image(StrictModel):
    """A PNG image of one step; the spool has its own copy. MLflow shows the images of a key as a series."""

    kind: Literal["image"] = "image"
    spool_path: str
    sha256: str
    key: str
    step: int

    @property
    def spool_paths(self) -> tuple[str, ...]:
        """Paths of all copies in the spool."""
        return (self.spool_path,)


class ModelVersion(StrictModel):
    """An exported graph to register as the next version of a model; the spool has its own copies."""

    kind: Literal["model_version"] = "model_version"
    spool_path: str
    sha256: str
    training_files: tuple[str, ...] = Field(description="paths in the spool of the outputs of train and their manifest")
    training_digest: str = Field(description="SHA-256 of the manifest of the outputs of train")
    model: str = Field(description="name of the registered model")
    input_name: str = Field(description="name of the graph's input")
    input_shape: tuple[int, ...] = Field(description="shape of one sample of the input")
    input_dtype: str
    output_name: str = Field(description="name of the graph's output")
    output_shape: tuple[int, ...] = Field(description="shape of one sample of the output")
    output_dtype: str
    n_classes: int = Field(default=0, description="number of trailing input values that are a one-hot class")
    target_class: str = Field(default="", description="class that images are translated into; empty for other models")
    input_example: str = Field(description="a few rows of the input, as JSON")
    pip_requirements: tuple[str, ...]
    tags: dict[str, str]

    @property
    def spool_paths(self) -> tuple[str, ...]:
        """Paths of all copies in the spool."""
        return (self.spool_path, *self.training_files)


Event = Annotated[
    Run | StatusChange | Params | Tags | Metrics | DatasetInput | Artifact | Image | ModelVersion,
    Field(discriminator="kind"),
]

EVENT_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)
