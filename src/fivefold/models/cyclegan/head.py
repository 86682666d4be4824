"""The head of an image translator: features of both translations -> raw images of one class."""

from torch import Tensor, nn

from ...config.networks.cyclegan import Cyclegan
from ...data.schema import Schema
from ...errors import ParamsError
from ...preprocessing.pipeline import Pipeline
from ..inverse import InversePreprocess


def build_head(params: Cyclegan, schema: Schema, pipeline: Pipeline) -> nn.Module:
    """Return the head for the target class.

    Raises:
        ParamsError: the preprocessing is not invertible, or the dataset has no class of that name.
    """
    if params.target_class is None:
        return TranslationHead(pipeline, 1)
    if params.target_class not in schema.classes:
        raise ParamsError(
            f"network.target_class must be a class of the dataset, {' or '.join(schema.classes)}, but is"
            f" {params.target_class!r}; correct it"
        )
    return TranslationHead(pipeline, schema.classes.index(params.target_class))


class TranslationHead(nn.Module):
    """Features of images in both classes -> raw images (b, ...) of one class.

    Args:
        pipeline: the fitted preprocessing.
        target_index: index of the target class.
    """

    def __init__(self, pipeline: Pipeline, target_index: int) -> None:
        super().__init__()
        self.inverse = InversePreprocess(pipeline, is_image=True)
        self.target_index = target_index

    def forward(self, outputs: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
        """Return raw images; an exported graph contains only the generator of that class."""
        images: Tensor = self.inverse(outputs[self.target_index])
        return images
