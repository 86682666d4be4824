"""The blocks under `datasets` in params.yaml, one class per kind of data."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from .base import CheckLevels, FrozenMapping, StrictModel
from .splits import SplitConfig, TimeSplit

Task = Literal["classification", "regression", "forecasting", "language_modeling", "unsupervised"]
Scaling = Literal["standard", "minmax", "robust", "none"]

TASK_DESCRIPTION = "unsupervised: nothing is to be predicted, and there is no target"
SCALING_DESCRIPTION = "standard: mean 0, deviation 1; minmax: to [0, 1]; robust: median 0, quartile range 1"


class FileFormat(StrictModel):
    """How a file of text is written: a CSV, and of the encoding a .txt too."""

    header: bool = Field(default=True, description="whether the first line names the columns; if not: 0, 1, 2 ...")
    separator: Literal[",", ";", "\t", "|"] = Field(default=",", description="between cells; a .tsv has a tab anyway")
    decimal: Literal[".", ","] = Field(default=".", description="between a number and its fraction")
    thousands: Literal["", ",", ".", " ", "'"] = Field(
        default="", description="between the thousands of a number, in groups of three digits; empty for none"
    )
    dates: Literal["iso", "dayfirst", "monthfirst"] = Field(
        default="iso", description="iso: 2020-12-31; day_first: 31.12.2020 or 31/12/20; month_first: 12/31/2020"
    )
    encoding: Literal["auto", "utf-8", "latin-1", "cp1252", "utf-16"] = Field(
        default="auto",
        description="auto: utf-16 if it begins with its mark, latin-1 if it is not UTF-8, or cp1252 if it holds what"
        " only Windows writes; but if most of it is UTF-8, that is an error",
    )

    @field_validator("thousands")
    @classmethod
    def _check_thousands(cls, thousands: str, info: ValidationInfo) -> str:
        if thousands and thousands == info.data.get("decimal"):
            text = "Input should not be the decimal mark too; set `decimal`"
            raise PydanticCustomError("thousands", text)
        return thousands


class ColumnOptions(StrictModel):
    """What a person says of one column; what is left out is inferred."""

    type: Literal["numeric", "boolean", "categorical", "ordinal", "date"] | None = None
    categories: tuple[str, ...] = Field(default=(), description="values of an ordinal column, lowest first")
    normalize: Scaling | None = Field(default=None, description="instead of the dataset's")
    min: float | None = Field(default=None, description="a smaller value is an error")
    max: float | None = Field(default=None, description="a larger value is an error")
    allowed_values: tuple[str, ...] = Field(default=(), description="any other value is an error")

    @field_validator("categories")
    @classmethod
    def _check_categories(cls, categories: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        kind = info.data.get("type")
        if categories and kind not in (None, "ordinal"):
            text = "Input should be left out, or `type` be ordinal and not {kind}"
            raise PydanticCustomError("categories", text, {"kind": kind})
        return categories


class MissingValues(StrictModel):
    """What stands in for a missing cell; learnt from training rows."""

    numeric: Literal["median", "mean", "most_frequent", "constant", "drop"] = Field(
        default="median", description="drop leaves the row out of the set that it was drawn into"
    )
    fill_value: float = Field(default=0.0, description="for numeric: constant, and only then")
    categorical: Literal["missing_category", "most_frequent", "drop"] = Field(
        default="missing_category", description="missing_category: missing is a category of its own"
    )
    add_indicator: bool = Field(default=False, description="one more column for each with gaps: 1 where it was missing")
    target: Literal["error", "drop"] = Field(
        default="error", description="drop leaves rows without a target out, before rows are divided"
    )

    @field_validator("fill_value")
    @classmethod
    def _check_fill_value(cls, fill_value: float, info: ValidationInfo) -> float:
        kind = info.data.get("numeric", "constant")
        if kind != "constant":
            text = "Input should be left out, or `numeric` be constant and not {kind}"
            raise PydanticCustomError("fill_value", text, {"kind": kind})
        return fill_value


class Table(StrictModel):
    """Rows of named columns; one of them is the target, or more, or none."""

    kind: Literal["table"]
    source: str = Field(
        description="path of a .csv, .csv.gz or .parquet, or of a .sklearn file that names bundled data"
    )
    format: FileFormat = FileFormat()
    task: Literal["classification", "regression", "unsupervised"] = Field(description=TASK_DESCRIPTION)
    target: str = Field(default="", description="name of the column to predict")
    log_target: bool = Field(
        default=False, description="learn the logarithm of the target: for prices and the like; it must be positive"
    )
    extra_targets: FrozenMapping[str, Literal["classification", "regression"]] = Field(
        default={},
        validate_default=True,
        description="columns that the same network is to tell as well, and what task each is; gaps in them are allowed."
        " `target` leads: it decides on the split, selection and checks",
    )
    drop: tuple[str, ...] = Field(default=(), description="columns to leave out")
    columns: FrozenMapping[str, ColumnOptions] = Field(
        default={},
        validate_default=True,
        description="what to know of single columns; of targets only min, max and values",
    )
    missing: MissingValues = MissingValues()
    duplicates: Literal["keep", "drop"] = Field(
        default="keep",
        description="drop keeps the first of equal rows of a set, and of those in several sets the training row",
    )
    clip: float = Field(
        default=0.0, ge=0, description="clip beyond this many quartile ranges from the quartiles; 0 does not clip"
    )
    min_frequency: float = Field(
        default=0.0, ge=0, lt=1, description="categories of a smaller share of training rows are merged into one"
    )
    split: SplitConfig
    normalize: Literal["standard", "minmax", "robust", "l2", "none"] = Field(
        description=f"{SCALING_DESCRIPTION}; l2: row to unit length"
    )
    checks: CheckLevels

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the columns to predict, the leading one first."""
        return () if self.task == "unsupervised" else (self.target, *self.extra_targets)

    @field_validator("columns")
    @classmethod
    def _check_target_columns(
        cls, columns: Mapping[str, ColumnOptions], info: ValidationInfo
    ) -> Mapping[str, ColumnOptions]:
        for target in (info.data.get("target", ""), *info.data.get("extra_targets", ())):
            known = columns.get(target, ColumnOptions())
            said = known.model_dump(include={"type", "categories", "normalize"}, exclude_defaults=True)
            if said:
                text = "Input should say no `{key}` of the target {target}, since `{where}` says what it is"
                where = "task" if target == info.data.get("target", "") else "extra_targets"
                raise PydanticCustomError(
                    "target", text, {"key": next(iter(said)), "target": repr(target), "where": where}
                )
        return columns


class Images(StrictModel):
    """Images, with a label each or with none."""

    kind: Literal["images"]
    source: str = Field(
        description="a folder or .zip with a folder of PNG or JPEG for each class; a folder of IDX files; .npz with"
        " arrays x and y, or x_train, y_train, x_test, y_test as of Keras, train_images as of MedMNIST; .csv,"
        " .csv.gz or .parquet of pixel columns; a .sklearn file that names bundled data. unsupervised: the same without"
        " labels, or with labels that are not looked at"
    )
    format: FileFormat = FileFormat()
    target: str = Field(default="", description="label column of a table of pixels")
    size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] | None = Field(
        default=None,
        description="height and width to resize to; left out, all images must have one size. Of a table of pixels: the"
        " height and width that its rows have; if they are squares of another size, that to resize them to; left out,"
        " they are squares",
    )
    channels: Literal["auto", 1, 3, 4] = Field(
        default="auto", description="1 grey, 3 RGB, 4 RGBA; auto: the most that a training image has"
    )
    task: Literal["classification", "regression", "unsupervised"] = Field(description=TASK_DESCRIPTION)
    split: SplitConfig
    normalize: Literal["standard", "minmax", "none"] = Field(
        description="per channel over the training images; standard: mean 0, deviation 1; minmax: to [0, 1]"
    )
    checks: CheckLevels


class Sequences(StrictModel):
    """Sequences of steps, of any length, with a label or value each or with none."""

    kind: Literal["sequences"]
    source: str = Field(
        description="long form, one row a step: .csv, .csv.gz or .parquet; UCR/UEA .ts; a folder with the pair"
        " NAME_TRAIN.ts and NAME_TEST.ts, or .tsv, or .txt, as UCR gives them; .npz with arrays x and y, or"
        " x_train, y_train, x_test, y_test. unsupervised: the same without labels, or, but of a long form, with labels"
        " that are not looked at"
    )
    task: Literal["classification", "regression", "unsupervised"] = Field(description=TASK_DESCRIPTION)
    target: str = Field(default="label", description="long form: column of the label, one value a sequence")
    sequence_id: str = Field(
        default="series", description="long form: column that says to which sequence a step belongs"
    )
    time_step: str = Field(default="t", description="long form: column by which steps are in order")
    values: tuple[str, ...] = Field(default=(), description="long form: columns of values; left out: all others")
    format: FileFormat = FileFormat()
    max_length: int = Field(
        default=0, ge=0, description="steps to keep of longer sequences, the first ones; 0 keeps all"
    )
    split: SplitConfig
    normalize: Scaling = Field(
        description=f"per value column over the steps of training sequences; {SCALING_DESCRIPTION}"
    )
    checks: CheckLevels

    @property
    def targets(self) -> tuple[str, ...]:
        """Name of the column to predict, if there is one."""
        return () if self.task == "unsupervised" else (self.target,)


class Series(StrictModel):
    """One time series, cut into windows: so many past steps to tell so many future ones."""

    kind: Literal["series"]
    source: str = Field(description="path of a .csv, .csv.gz or .parquet, one row a step")
    task: Literal["forecasting"]
    time: str | tuple[str, ...] = Field(
        description="column of dates, times or numbers; or several that are one together: [date, time], [date, hour],"
        " [year, month], [year, month, day]"
    )
    targets: tuple[str, ...] = Field(min_length=1, description="columns to forecast")
    exogenous: tuple[str, ...] = Field(default=(), description="columns known up to now that may help")
    window: int = Field(gt=0, description="past steps that the network sees")
    horizon: int = Field(default=1, gt=0, description="future steps to tell")
    season_length: int = Field(
        default=0, ge=0, description="steps after which it is like before, such as 12 of months; 0: none is known"
    )
    log_target: bool = Field(
        default=False,
        description="look at targets by their logarithm, past steps too: for growth in percent; they must be positive",
    )
    freq: str = Field(default="auto", description="distance of two steps, such as 30min, 1D, MS; auto infers it")
    format: FileFormat = FileFormat()
    missing: Literal["interpolate", "ffill"] = Field(
        default="interpolate", description="what stands in for missing steps and cells; neither looks past the split"
    )
    split: TimeSplit
    normalize: Scaling = Field(description=f"per column over the training part; {SCALING_DESCRIPTION}")
    checks: CheckLevels

    @property
    def time_columns(self) -> tuple[str, ...]:
        """Columns that make up the time of a row."""
        return (self.time,) if isinstance(self.time, str) else self.time


class Text(StrictModel):
    """Texts with a label each, or one long text whose next character is to be told."""

    kind: Literal["text"]
    source: str = Field(description="path of a .csv, .csv.gz or .parquet with a column of text, or of a .txt")
    task: Literal["classification", "regression", "language_modeling"] = Field(
        description="language: the next token of a .txt, from the ones before it"
    )
    text: str = Field(default="text", description="column of the text")
    target: str = Field(default="", description="column of the label")
    tokenizer: Literal["word", "character"] = "word"
    lowercase: bool = True
    vocab_size: int = Field(default=20_000, gt=2, description="tokens known at most, the most frequent ones")
    min_count: int = Field(default=2, gt=0, description="times that a token must stand in training rows to be known")
    max_length: int = Field(gt=0, description="tokens a record; longer texts are cut, shorter ones padded")
    format: FileFormat = FileFormat()
    split: SplitConfig
    checks: CheckLevels


DatasetConfig = Annotated[Table | Images | Sequences | Series | Text, Field(discriminator="kind")]
