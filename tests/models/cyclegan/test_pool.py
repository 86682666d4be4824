"""The image pool against its definition: Zhu et al. 2017, section 4; images are numbered to trace them."""

import torch
from torch import Tensor

from fivefold.models.cyclegan.module import ImagePool


def numbered_images(start: int, n: int) -> Tensor:
    """Return n images (n, 1, 1, 1) of a single pixel, whose values count up from `start`."""
    return torch.arange(start, start + n, dtype=torch.float32).reshape(n, 1, 1, 1)


def stored_numbers(pool: ImagePool) -> list[float]:
    assert pool.images is not None
    numbers: list[float] = pool.images.flatten().tolist()
    return numbers


def test_images_are_returned_unchanged_until_the_pool_is_full() -> None:
    pool = ImagePool(5)
    assert torch.equal(pool(numbered_images(0, 3)), numbered_images(0, 3))
    assert stored_numbers(pool) == [0, 1, 2]
    assert torch.equal(pool(numbered_images(3, 2)), numbered_images(3, 2))
    assert stored_numbers(pool) == [0, 1, 2, 3, 4]


def test_a_batch_that_overfills_the_pool_returns_its_first_images_unchanged() -> None:
    torch.manual_seed(0)
    pool = ImagePool(5)
    pool(numbered_images(0, 3))
    batch = pool(numbered_images(3, 6)).flatten().tolist()
    assert batch[:2] == [3, 4]  # fill the pool
    assert {*batch[2:], *stored_numbers(pool)} == {0, 1, 2, 3, 4, 5, 6, 7, 8}


def test_each_position_returns_its_new_image_or_an_older_one_that_it_replaces() -> None:
    torch.manual_seed(0)
    pool = ImagePool(8)
    pool(numbered_images(0, 8))
    for start in range(8, 808, 8):
        before = stored_numbers(pool)
        batch = pool(numbered_images(start, 8)).flatten().tolist()
        swapped = [new for new, returned in zip(range(start, start + 8), batch, strict=True) if returned != new]
        returned_old = [number for number in batch if number < start]
        assert len(returned_old) == len(swapped)
        assert set(returned_old) <= set(before)
        assert set(stored_numbers(pool)) == (set(before) - set(returned_old)) | set(swapped)


def test_half_of_the_images_of_a_full_pool_are_older() -> None:
    torch.manual_seed(0)
    pool, n_older, batch_size, n_batches = ImagePool(50), 0, 16, 200
    n_filling = 4  # batches 0 to 3 fill the pool
    returned: list[float] = []
    for i in range(n_batches):
        batch = pool(numbered_images(i * batch_size, batch_size)).flatten()
        returned += batch.tolist()
        if i >= n_filling:
            n_older += int((batch < i * batch_size).sum())
    # binomial with p = 1/2: 0.03 is more than 3 standard errors of a share of 3136 images, sqrt(0.25 / 3136) = 0.009
    assert abs(n_older / ((n_batches - n_filling) * batch_size) - 0.5) < 0.03
    # no image is lost; only the 50 that filled the pool are returned twice: when they arrive, and when they leave
    assert {*returned, *stored_numbers(pool)} == set(range(n_batches * batch_size))
    assert len(returned) - len(set(returned)) <= 50
    assert len(set(stored_numbers(pool))) == 50


def test_a_batch_larger_than_the_pool_swaps_at_most_as_many_images_as_the_pool_holds() -> None:
    torch.manual_seed(0)
    pool, n_swapped = ImagePool(2), []
    assert torch.equal(pool(numbered_images(0, 2)), numbered_images(0, 2))
    for start in range(2, 902, 9):
        before = stored_numbers(pool)
        batch = pool(numbered_images(start, 9)).flatten().tolist()
        assert batch[2:] == list(range(start + 2, start + 9))  # only the first two can be swapped
        older = [number for number in batch if number < start]
        assert set(older) <= set(before)
        n_swapped.append(len(older))
    assert set(n_swapped) == {0, 1, 2}


def test_a_pool_of_size_0_returns_every_batch_unchanged() -> None:
    pool = ImagePool(0)
    for start in (0, 4, 8):
        assert torch.equal(pool(numbered_images(start, 4)), numbered_images(start, 4))
        assert stored_numbers(pool) == []
