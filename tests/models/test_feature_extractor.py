"""A classifier as feature extractor: the inputs of its last dense layer, and its probabilities."""

import numpy as np
import torch

from fivefold.config.networks.cnn import PlainCnn
from fivefold.models.feature_extractor import build_embedding_fn, build_feature_extractor

from .helpers import CASES, DIGIT, Case, model_inputs, saved_of


def test_features_are_the_inputs_of_the_last_dense_layer() -> None:
    case = CASES["plain gelu"]
    saved, x = saved_of(case), torch.from_numpy(model_inputs(case))
    features = build_feature_extractor(saved)(x)
    assert features.values.shape == (20, 128)
    last = [m for m in saved.model.network.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        torch.testing.assert_close(last(features.values).softmax(1), features.probabilities)
        torch.testing.assert_close(saved.model(x), features.probabilities)
    assert torch.equal(build_embedding_fn(saved)(x), features.values)


def test_pixels_of_generated_images_are_not_rounded() -> None:
    saved = saved_of(Case(PlainCnn(family="cnn", architecture="plain", channels=(4,), dense=(6,)), DIGIT))
    x = torch.from_numpy(model_inputs(CASES["plain gelu"]).astype(np.float32))
    assert not torch.equal(build_embedding_fn(saved)(x), build_embedding_fn(saved)(x + 0.4))
