"""Work on several photographs at once"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from anthropo.parallel import Threads, threads
from anthropo.parallel.threads import network_threads


@pytest.fixture(autouse=True)
def five_network_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(jobs: int) -> None:
    def work(i: int) -> int:
        time.sleep(0.001 * (i % 3))
        return i

    assert list(Threads(jobs).in_order(work, range(40))) == list(range(40))


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_network_has_one_thread_however_many_jobs_there_are(jobs: int) -> None:
    assert set(Threads(jobs).in_order(lambda _: torch.get_num_threads(), range(9))) == {1}
    assert torch.get_num_threads() == 5


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_a_network_s_sums_are_rounded_alike_for_every_number_of_jobs(jobs: int) -> None:
    """Shared among five threads, this product has other last digits (MKL, torch 2.13)."""
    random = torch.Generator().manual_seed(0)
    layer, embeddings = torch.nn.Linear(1024, 128), torch.randn(6, 1024, generator=random)
    (expected,) = Threads(1).in_order(layer, [embeddings])
    assert all(torch.equal(found, expected) for found in Threads(jobs).in_order(layer, [embeddings] * 4))


def test_after_an_error_no_other_item_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "AHEAD", 1)
    begun = []

    def work(i: int) -> int:
        begun.append(i)
        if i == 3:
            raise ValueError("the third")
        return i

    before = threading.active_count()
    with pytest.raises(ValueError, match="the third"):
        list(Threads(2).in_order(work, range(50)))
    assert len(begun) <= 3 + 1 + 2
    assert threading.active_count() == before
    assert torch.get_num_threads() == 5


def test_threads_of_a_network_are_given_back_after_an_error() -> None:
    def fail() -> None:
        with network_threads(3):
            assert torch.get_num_threads() == 3
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert torch.get_num_threads() == 5
