import torch

from fivefold.training.batches import Batches, mix


def rows(batches: Batches) -> list[int]:
    return [int(v) for x, _ in batches for v in x]


def data(n: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(n), torch.arange(n) * 2


def test_an_epoch_shows_every_row_once_with_its_target() -> None:
    batches = Batches(*data(), 3, seed=1, epoch=lambda: 0)
    pairs = list(batches)
    assert len(batches) == len(pairs) == 4
    assert sorted(rows(batches)) == list(range(10))
    assert all(torch.equal(y, x * 2) for x, y in pairs)


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    first = Batches(*data(50), 7, seed=3, epoch=lambda: 4)
    again = Batches(*data(50), 7, seed=3, epoch=lambda: 4)
    assert rows(first) == rows(first) == rows(again)
    assert rows(first) != rows(Batches(*data(50), 7, seed=3, epoch=lambda: 5))
    assert rows(first) != rows(Batches(*data(50), 7, seed=4, epoch=lambda: 4))


def test_held_out_rows_keep_their_order() -> None:
    assert rows(Batches(*data(), 4)) == list(range(10))


def test_no_two_seeds_and_epochs_share_a_seed() -> None:
    seeds = {mix(seed, epoch) for seed in range(100) for epoch in range(100)}
    assert len(seeds) == 10_000
    assert all(0 <= seed < 2**63 for seed in seeds)
