"""The blocks under `datasets`, one class per kind of data."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from .base import CheckLevels, FrozenMapping, StrictModel
from .splits import SplitConfig, TimeSplit

Task = Literal["classification", "regression", "forecasting", "language_modeling", "unsupervised"]
Scaling = Literal["standard", "minmax", "robust", "none"]

TASK_DESCRIPTION = "unsupervised: no target"
SCALING_DESCRIPTION = (
    "standard: mean 0, standard deviation 1; minmax: to [0, 1]; robust: median 0, interquartile range 1"
)


class FileFormat(StrictModel):
    """Dialect of a CSV file; `encoding` also applies to .txt files."""

    header: bool = Field(
        default=True,
        description="whether the first line holds column names; without a header columns are named 0, 1, 2, ...",
    )
    separator: Literal[",", ";", "\t", "|"] = Field(
        default=",", description="field separator; always a tab for .tsv files"
    )
    decimal: Literal[".", ","] = Field(default=".", description="decimal mark")
    thousands: Literal["", ",", ".", " ", "'"] = Field(
        default="", description="thousands separator, groups of three digits; empty for none"
    )
    dates: Literal["iso", "dayfirst", "monthfirst"] = Field(
        default="iso", description="iso: 2020-12-31; dayfirst: 31.12.2020 or 31/12/20; monthfirst: 12/31/2020"
    )
    encoding: Literal["auto", "utf-8", "latin-1", "cp1252", "utf-16"] = Field(
        default="auto",
        description="auto: utf-16 if the file starts with its byte order mark, else UTF-8, else latin-1 or, with"
        " characters only in it, cp1252; a file that is mostly but not entirely UTF-8 is an error",
    )

    @field_validator("thousands")
    @classmethod
    def _check_thousands(cls, thousands: str, info: ValidationInfo) -> str:
        if thousands and thousands == info.data.get("decimal"):
            text = "Input should differ from the decimal mark; set `decimal`"
            raise PydanticCustomError("thousands", text)
        return thousands


class ColumnOptions(StrictModel):
    """Options of one column; omitted options are inferred."""

    type: Literal["numeric", "boolean", "categorical", "ordinal", "date"] | None = None
    categories: tuple[str, ...] = Field(default=(), description="ordered values of an ordinal column, lowest first")
    normalize: Scaling | None = Field(default=None, description="overrides `normalize` of the dataset")
    min: float | None = Field(default=None, description="minimum; smaller values are an error")
    max: float | None = Field(default=None, description="maximum; larger values are an error")
    allowed_values: tuple[str, ...] = Field(default=(), description="allowed values; any other value is an error")

    @field_validator("categories")
    @classmethod
    def _check_categories(cls, categories: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        kind = info.data.get("type")
        if categories and kind not in (None, "ordinal"):
            text = "Input should be omitted unless `type` is ordinal (it is {kind})"
            raise PydanticCustomError("categories", text, {"kind": kind})
        return categories


class MissingValues(StrictModel):
    """Imputation of missing values; statistics are computed on training rows."""

    numeric: Literal["median", "mean", "most_frequent", "constant", "drop"] = Field(
        default="median", description="imputation of numeric columns; drop: remove the row from its split"
    )
    fill_value: float = Field(default=0.0, description="value for numeric: constant")
    categorical: Literal["missing_category", "most_frequent", "drop"] = Field(
        default="missing_category",
        description="imputation of categorical columns; missing_category: a separate category",
    )
    add_indicator: bool = Field(
        default=False, description="add a binary column per column with missing values: 1 where the value is missing"
    )
    target: Literal["error", "drop"] = Field(
        default="error", description="rows without a target; drop: remove them before the split"
    )

    @field_validator("fill_value")
    @classmethod
    def _check_fill_value(cls, fill_value: float, info: ValidationInfo) -> float:
        kind = info.data.get("numeric", "constant")
        if kind != "constant":
            text = "Input should be omitted unless `numeric` is constant (it is {kind})"
            raise PydanticCustomError("fill_value", text, {"kind": kind})
        return fill_value


class Table(StrictModel):
    """Table with named columns and none, one or several targets."""

    kind: Literal["table"]
    source: str = Field(
        description="path of a .csv, .csv.gz or .parquet file, or of a .sklearn file with the name of a bundled dataset"
    )
    format: FileFormat = FileFormat()
    task: Literal["classification", "regression", "unsupervised"] = Field(description=TASK_DESCRIPTION)
    target: str = Field(default="", description="name of the column to predict")
    log_target: bool = Field(
        default=False, description="predict the logarithm of the target, e.g. of prices; the target must be positive"
    )
    extra_targets: FrozenMapping[str, Literal["classification", "regression"]] = Field(
        default={},
        validate_default=True,
        description="further columns that the same network predicts, and the task of each; they may have missing"
        " values. `target` is the primary target: split, selection and checks use it",
    )
    drop: tuple[str, ...] = Field(default=(), description="columns to drop")
    columns: FrozenMapping[str, ColumnOptions] = Field(
        default={},
        validate_default=True,
        description="options by column; for targets only min, max and allowed_values",
    )
    missing: MissingValues = MissingValues()
    duplicates: Literal["keep", "drop"] = Field(
        default="keep",
        description="drop: keep the first of identical rows of a split; of rows in several splits, keep the training"
        " row",
    )
    clip: float = Field(
        default=0.0, ge=0, description="clip values more than this many IQR outside the quartiles; 0: off"
    )
    min_frequency: float = Field(
        default=0.0, ge=0, lt=1, description="merge categories whose fraction of training rows is smaller into one"
    )
    split: SplitConfig
    normalize: Literal["standard", "minmax", "robust", "l2", "none"] = Field(
        description=f"{SCALING_DESCRIPTION}; l2: rows to unit length"
    )
    checks: CheckLevels

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the target columns, the primary target first."""
        return () if self.task == "unsupervised" else (self.target, *self.extra_targets)

    @field_validator("columns")
    @classmethod
    def _check_target_columns(
        cls, columns: Mapping[str, ColumnOptions], info: ValidationInfo
    ) -> Mapping[str, ColumnOptions]:
        for target in (info.data.get("target", ""), *info.data.get("extra_targets", ())):
            options = columns.get(target, ColumnOptions())
            forbidden = options.model_dump(include={"type", "categories", "normalize"}, exclude_defaults=True)
            if forbidden:
                text = "Input should not set `{key}` of the target {target}, which is defined by `{where}`"
                where = "task" if target == info.data.get("target", "") else "extra_targets"
                raise PydanticCustomError(
                    "target", text, {"key": next(iter(forbidden)), "target": repr(target), "where": where}
                )
        return columns


class Images(StrictModel):
    """Images with or without labels."""

    kind: Literal["images"]
    source: str = Field(
        description="folder or .zip with one folder of PNG or JPEG files per class; folder of IDX files; .npz with"
        " arrays x and y, with x_train, y_train, x_test, y_test (Keras) or train_images, ... (MedMNIST); .csv,"
        " .csv.gz or .parquet with pixel columns; .sklearn file with the name of a bundled dataset. unsupervised: the"
        " same without labels; labels are ignored"
    )
    format: FileFormat = FileFormat()
    target: str = Field(default="", description="label column of a table with pixel columns")
    size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] | None = Field(
        default=None,
        description="height and width to resize to; if omitted, all images must have the same size. For a table with"
        " pixel columns: height and width of its images (by default they are square), or the size to resize square"
        " images to",
    )
    channels: Literal["auto", 1, 3, 4] = Field(
        default="auto", description="1: grayscale, 3: RGB, 4: RGBA; auto: the maximum over training images"
    )
    task: Literal["classification", "regression", "unsupervised"] = Field(description=TASK_DESCRIPTION)
    split: SplitConfig
    normalize: Literal["standard", "minmax", "none"] = Field(
        description="per channel over the training images; standard: mean 0, standard deviation 1; minmax: to [0, 1]"
    )
    checks: CheckLevels


class Sequences(StrictModel):
    """Sequences of variable length, each with a label, a value or no target."""

    kind: Literal["sequences"]
    source: str = Field(
        description="long format, one row per step: .csv, .csv.gz or .parquet; UCR/UEA .ts; folder with the pair"
        " NAME_TRAIN.ts and NAME_TEST.ts (or .tsv, .txt) of the UCR archive; .npz with arrays x and y, or with"
        " x_train, y_train, x_test, y_test. unsupervised: the same without labels; labels are ignored, except in long"
        " format"
    )
    task: Literal["classification", "regression", "unsupervised"] = Field(description=TASK_DESCRIPTION)
    target: str = Field(default="label", description="long format: label column, one value per sequence")
    sequence_id: str = Field(default="series", description="long format: column with the sequence of each step")
    time_step: str = Field(default="t", description="long format: column to order steps by")
    values: tuple[str, ...] = Field(default=(), description="long format: value columns; default: all other columns")
    format: FileFormat = FileFormat()
    max_length: int = Field(
        default=0, ge=0, description="truncate sequences to this many steps, the first ones; 0: no truncation"
    )
    split: SplitConfig
    normalize: Scaling = Field(
        description=f"per value column over the steps of training sequences; {SCALING_DESCRIPTION}"
    )
    checks: CheckLevels

    @property
    def targets(self) -> tuple[str, ...]:
        """Name of the target column, if there is one."""
        return () if self.task == "unsupervised" else (self.target,)


class Series(StrictModel):
    """Time series cut into windows: `window` past steps are used to forecast `horizon` future steps."""

    kind: Literal["series"]
    source: str = Field(description="path of a .csv, .csv.gz or .parquet file with one row per step")
    task: Literal["forecasting"]
    time: str | tuple[str, ...] = Field(
        description="column of dates, times or numbers, or several columns that form a date: [date, time], [date,"
        " hour], [year, month], [year, month, day]"
    )
    targets: tuple[str, ...] = Field(min_length=1, description="columns to forecast")
    exogenous: tuple[str, ...] = Field(default=(), description="additional input columns, known up to the present")
    window: int = Field(gt=0, description="number of past steps in the input")
    horizon: int = Field(default=1, gt=0, description="number of future steps to forecast")
    season_length: int = Field(
        default=0, ge=0, description="steps per seasonal period, e.g. 12 for monthly data; 0: none"
    )
    log_target: bool = Field(
        default=False,
        description="take the logarithm of targets, including past steps, e.g. for growth in percent; they must be"
        " positive",
    )
    freq: str = Field(default="auto", description="frequency of the steps, e.g. 30min, 1D, MS; auto: inferred")
    format: FileFormat = FileFormat()
    missing: Literal["interpolate", "ffill"] = Field(
        default="interpolate",
        description="imputation of missing steps and cells; does not use values across split boundaries",
    )
    split: TimeSplit
    normalize: Scaling = Field(description=f"per column over the training split; {SCALING_DESCRIPTION}")
    checks: CheckLevels

    @property
    def time_columns(self) -> tuple[str, ...]:
        """Columns that form the time of a row."""
        return (self.time,) if isinstance(self.time, str) else self.time


class Text(StrictModel):
    """Texts with a label each, or one long text for language modeling."""

    kind: Literal["text"]
    source: str = Field(description="path of a .csv, .csv.gz or .parquet file with a text column, or of a .txt file")
    task: Literal["classification", "regression", "language_modeling"] = Field(
        description="language_modeling: predict the next token of a .txt file from the previous ones"
    )
    text: str = Field(default="text", description="text column")
    target: str = Field(default="", description="label column")
    tokenizer: Literal["word", "character"] = "word"
    lowercase: bool = True
    vocab_size: int = Field(
        default=20_000, gt=2, description="maximum vocabulary size; the most frequent tokens are used"
    )
    min_count: int = Field(
        default=2,
        gt=0,
        description="minimum number of occurrences in training rows for a token to be in the vocabulary",
    )
    max_length: int = Field(gt=0, description="tokens per sample; longer texts are truncated, shorter ones padded")
    format: FileFormat = FileFormat()
    split: SplitConfig
    checks: CheckLevels


DatasetConfig = Annotated[Table | Images | Sequences | Series | Text, Field(discriminator="kind")]
