"""The head of a generator: generated features -> raw samples."""

from torch import Tensor, nn

from ...config.networks.gan import Gan
from ...data.schema import Schema
from ...preprocessing.pipeline import Pipeline
from ..inverse import InversePreprocess, SampleHead
from .tabular import NormalScoresTransform


class TabularHead(nn.Module):
    """Normal scores of table rows (b, f) -> raw rows (b, ...)."""

    def __init__(self, pipeline: Pipeline, n_numeric: int) -> None:
        super().__init__()
        self.normal_scores, self.inverse = NormalScoresTransform(n_numeric), InversePreprocess(pipeline, is_image=False)

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return the raw rows."""
        rows: Tensor = self.inverse(self.normal_scores(outputs))
        return rows


def build_head(params: Gan, schema: Schema, pipeline: Pipeline) -> nn.Module:
    """Return the head for the kind of data.

    Raises:
        ParamsError: the preprocessing is not invertible.
    """
    if schema.kind == "table" and params.numeric_transform == "quantile":
        return TabularHead(pipeline, pipeline.output_shape(schema.shape)[0] - sum(pipeline.one_hot_sizes()))
    return SampleHead(pipeline, is_image=schema.kind == "images")
