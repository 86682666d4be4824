"""Batches of an epoch: row order, devices, text windows and epoch seeds."""

import pytest
import torch

from fivefold.training.batches import OrderFn, TensorBatchLoader, derive_seed, shuffled_order, strided_windows

Batch = tuple[torch.Tensor, torch.Tensor, int]


def data(n: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(n), torch.arange(n) * 2


def epoch_of(batches: TensorBatchLoader) -> list[Batch]:
    (epoch,) = batches
    return list(epoch)


def rows(batches: TensorBatchLoader) -> list[int]:
    return [int(v) for x, _, _ in epoch_of(batches) for v in x]


def test_epoch_has_each_row_once_with_its_target() -> None:
    batches = TensorBatchLoader(*data(), 3, order=shuffled_order(10, 1, lambda: 0))
    pairs = epoch_of(batches)
    assert batches.steps_per_epoch == len(pairs) == 4
    assert sorted(rows(batches)) == list(range(10))
    assert all(torch.equal(y, x * 2) for x, y, _ in pairs)
    assert [n for _, _, n in pairs] == [3, 3, 3, 1]


def test_order_depends_only_on_seed_and_epoch() -> None:
    def ordered(seed: int, epoch: int) -> list[int]:
        return rows(TensorBatchLoader(*data(50), 7, order=shuffled_order(50, seed, lambda: epoch)))

    assert ordered(3, 4) == ordered(3, 4)
    assert ordered(3, 4) != ordered(3, 5)
    assert ordered(3, 4) != ordered(4, 4)


def test_validation_rows_are_in_stored_order() -> None:
    assert rows(TensorBatchLoader(*data(), 4)) == list(range(10))


def test_devices_have_disjoint_rows_of_each_batch() -> None:
    order = shuffled_order(10, 1, lambda: 0)
    batches_of_one = epoch_of(TensorBatchLoader(*data(), 4, order=order))
    halves = [epoch_of(TensorBatchLoader(*data(), 4, order=order, rank=rank, world_size=2)) for rank in (0, 1)]
    for both, one, other in zip(batches_of_one, *halves, strict=True):
        assert sorted([*one[0].tolist(), *other[0].tolist()]) == sorted(both[0].tolist())
        assert one[2] == other[2] == len(both[0])
    validation = [rows(TensorBatchLoader(*data(), 4, rank=rank, world_size=2)) for rank in (0, 1)]
    assert sorted(validation[0] + validation[1]) == list(range(10))


@pytest.mark.parametrize("order", [None, shuffled_order(10, 1, lambda: 0)])
def test_device_may_have_no_rows_of_a_small_batch(order: OrderFn | None) -> None:
    batches = [epoch_of(TensorBatchLoader(*data(), 3, order=order, rank=rank, world_size=2)) for rank in (0, 1)]
    assert [[len(x) for x, _, _ in own] for own in batches] == [[2, 2, 2, 1], [1, 1, 1, 0]]
    assert [[n for _, _, n in own] for own in batches] == [[3, 3, 3, 1]] * 2


def test_text_windows_are_consecutive_with_a_random_offset_per_epoch() -> None:
    starts = set()
    for epoch in range(20):
        order = strided_windows(100, 10, 1, lambda epoch=epoch: epoch)()
        assert len(order) == 10
        assert len({int(i) % 10 for i in order}) == 1
        assert torch.equal(order.sort().values.diff(), torch.full((9,), 10))
        starts.add(int(order.min()))
    assert len(starts) > 3


def test_derived_seeds_are_distinct() -> None:
    seeds = {derive_seed(seed, epoch) for seed in range(100) for epoch in range(100)}
    assert len(seeds) == 10_000
    assert all(0 <= seed < 2**63 for seed in seeds)
