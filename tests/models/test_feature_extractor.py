"""A classifier as a judge: what goes into its last dense layer, and its probabilities."""

import numpy as np
import torch

from fivefold.config.networks.cnn import Stack
from fivefold.models.feature_extractor import expert_of, features_of

from .test_contract import CASES, DIGIT, Case, given, saved_of


def test_an_expert_sees_what_goes_into_the_last_dense_layer() -> None:
    case = CASES["stack gelu"]
    saved, x = saved_of(case), torch.from_numpy(given(case))
    seen = expert_of(saved)(x)
    assert seen.features.shape == (20, 128)
    last = [m for m in saved.model.network.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        torch.testing.assert_close(last(seen.features).softmax(1), seen.probabilities)
        torch.testing.assert_close(saved.model(x), seen.probabilities)
    assert torch.equal(features_of(saved)(x), seen.features)


def test_records_that_were_made_need_not_be_whole_numbers() -> None:
    saved = saved_of(Case(Stack(family="cnn", design="stack", channels=(4,), dense=(6,)), DIGIT))
    x = torch.from_numpy(given(CASES["stack gelu"]).astype(np.float32))
    assert not torch.equal(features_of(saved)(x), features_of(saved)(x + 0.4))
