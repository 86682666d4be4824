"""The pool beside the one of the paper, image by image."""

import torch

from fivefold.models.cyclegan.module import ImagePool


def numbered(start: int, n: int) -> torch.Tensor:
    return torch.arange(start, start + n, dtype=torch.float32).reshape(n, 1, 1, 1)


def test_it_gives_out_what_comes_until_it_is_full() -> None:
    pool = ImagePool(5)
    assert torch.equal(pool(numbered(0, 3)), numbered(0, 3))
    assert pool(numbered(3, 2)).flatten().tolist() == [3, 4]
    assert pool.images is not None
    assert pool.images.flatten().tolist() == [0, 1, 2, 3, 4]


def test_then_half_of_what_it_gives_out_is_old_and_nothing_is_lost_or_doubled() -> None:
    torch.manual_seed(0)
    pool, old, given, n = ImagePool(50), 0, [], 16
    for step in range(200):
        seen = pool(numbered(step * n, n)).flatten()
        given += seen.tolist()
        if step >= 4:  # it was full before
            old += int((seen < step * n).sum())
    assert abs(old / (196 * n) - 0.5) < 0.03
    assert pool.images is not None
    # the first 50 were seen when they came, and again when they left
    came, left = set(range(200 * n)), {*given} | {*pool.images.flatten().tolist()}
    assert left == came
    assert len(given) - len(set(given)) <= 50
    assert len(set(pool.images.flatten().tolist())) == 50


def test_a_batch_larger_than_the_pool_goes_through() -> None:
    torch.manual_seed(0)
    pool = ImagePool(2)
    seen = pool(numbered(0, 9)).flatten().tolist()
    assert len(seen) == 9
    assert len(set(pool(numbered(9, 9)).flatten().tolist()) & set(range(9))) >= 0


def test_without_room_it_gives_out_what_comes() -> None:
    pool = ImagePool(0)
    for step in range(3):
        assert torch.equal(pool(numbered(step, 4)), numbered(step, 4))
