"""The last part of a generator's model: what is made of noise -> raw records."""

from torch import Tensor, nn

from ...config.networks.gan import Gan
from ...data.schema import Schema
from ...preprocessing.pipeline import Pipeline
from ..inverse import InversePreprocess, SampleHead
from .tabular import NormalScoresTransform


class TabularHead(nn.Module):
    """Scores of a table's rows (b, f) -> raw rows (b, ...)."""

    def __init__(self, pipeline: Pipeline, n_numeric: int) -> None:
        super().__init__()
        self.normal_scores, self.inverse = NormalScoresTransform(n_numeric), InversePreprocess(pipeline, is_image=False)

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return raw rows."""
        told: Tensor = self.inverse(self.normal_scores(outputs))
        return told


def build_head(params: Gan, schema: Schema, pipeline: Pipeline) -> nn.Module:
    """Return the last part of a model.

    Raises:
        ParamsError: the preprocessing cannot be undone.
    """
    if schema.kind == "table" and params.numeric_transform == "quantile":
        return TabularHead(pipeline, pipeline.output_shape(schema.shape)[0] - sum(pipeline.one_hot_sizes()))
    return SampleHead(pipeline, is_image=schema.kind == "images")
