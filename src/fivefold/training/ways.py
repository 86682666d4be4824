"""Where the training of one kind of network differs from that of another."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ..config.models import Model
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..models.feature_extractor import Expert
from ..models.transfer import Source
from .assemble import Assembled, assemble
from .contest import assemble as build_adversarial_setup
from .doctor.callback import Doctor
from .doctor.referee import Referee
from .translation import assemble as build_translation_setup


class Way(NamedTuple):
    """How a network is trained.

    metric: of an epoch, by which it is kept; the lower the better.
    assemble: puts together what is trained.
    doctor: looks on.
    """

    metric: str
    assemble: Callable[..., Assembled]
    doctor: Callable[[Model], Doctor | Referee]


def way_of(params: Model, source: Source | None, judge: Expert | None) -> Way:
    """Return how the network of `params` is trained: down a loss, or against another network.

    source: whose weights it begins with. judge: by which what a generator makes is compared with rows.
    """
    if isinstance(params.network, Gan):
        metric = "val/energy" if judge is None else "val/kid"
        return Way(metric, partial(build_adversarial_setup, judge=judge), Referee)
    if isinstance(params.network, Cyclegan):
        return Way("val/translation", partial(build_translation_setup, judge=judge), Referee)
    return Way("val/loss", partial(assemble, source=source), Doctor)
