"""Images of earlier steps, which keep a critic from forgetting what generators used to make.

Source: Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4. Images of one batch go to different places.
Shapes: b images, s places of the pool.
"""

import torch
from torch import Tensor


class Pool:
    """Made images (b, c, y, x) -> as many, of which half are older ones once the pool is full.

    Attributes:
        images: that are kept, (at most s, c, y, x).
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: Tensor | None = None

    def __call__(self, made: Tensor) -> Tensor:
        """Return what a critic is to see in the place of `made`, and keep some of that."""
        kept = made[:0] if self.images is None else self.images.to(made.device)
        room = self.size - len(kept)
        self.images = torch.cat([kept, made[:room]]) if room else kept
        late = made[room:]
        n = min(len(late), self.size)  # more cannot change places at once
        swapped = torch.nonzero(torch.rand(n, device=made.device) < 0.5)[:, 0]
        places = torch.randperm(self.size, device=made.device)[: len(swapped)]
        seen = made.clone()
        seen[room + swapped] = self.images[places]
        self.images[places] = late[swapped]
        return seen
