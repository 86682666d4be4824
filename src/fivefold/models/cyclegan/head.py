"""The last part of a translator: features of both translations -> raw images of one class."""

from torch import Tensor, nn

from ...config.networks.cyclegan import Cyclegan
from ...data.schema import Schema
from ...errors import ParamsError
from ...preprocessing.pipeline import Pipeline
from ..inverse import InversePreprocess


def build_head(params: Cyclegan, schema: Schema, pipeline: Pipeline) -> nn.Module:
    """Return the last part of a model.

    Raises:
        ParamsError: the preprocessing cannot be undone, or the dataset has no class of that name.
    """
    if params.target_class is None:
        return TranslationHead(pipeline, 1)
    if params.target_class not in schema.classes:
        raise ParamsError(
            f"network.target_class must name a class of the dataset, {' or '.join(schema.classes)}, but is {params.target_class!r};"
            " mend it"
        )
    return TranslationHead(pipeline, schema.classes.index(params.target_class))


class TranslationHead(nn.Module):
    """Features of images in both classes -> raw images (b, ...) in one of them.

    Args:
        into: its index.
    """

    def __init__(self, pipeline: Pipeline, target_index: int) -> None:
        super().__init__()
        self.inverse = InversePreprocess(pipeline, is_image=True)
        self.target_index = target_index

    def forward(self, outputs: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
        """Return raw images; an exported graph has the one generator that they need."""
        told: Tensor = self.inverse(outputs[self.target_index])
        return told
