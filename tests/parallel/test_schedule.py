"""Who gets what on a cluster, without one."""

import random
from collections import Counter

import pytest

from anthropo.parallel.schedule import ItemBatch, Schedule


def everything_given(schedule: Schedule[int]) -> list[tuple[str, ItemBatch[int]]]:
    given = []
    while (one := schedule.next()) is not None:
        given.append(one)
    return given


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_lost_or_done_twice_whoever_ends(seed: int) -> None:
    chance = random.Random(seed)
    n = chance.randint(1, 300)
    deadly = set(chance.sample(range(n), min(n, chance.randint(0, 3))))
    schedule = Schedule(iter(range(n)), total=chance.choice([0, n]), gather=chance.random() < 0.5)
    names = iter(range(10_000))
    under_way: list[tuple[str, ItemBatch[int]]] = []
    done: Counter[int] = Counter()
    lost: Counter[int] = Counter()
    for _ in range(chance.randint(1, 4)):
        schedule.joined(f"w{next(names)}", chance.randint(1, 3))
    threads = {worker: schedule._loads[worker].threads for worker in schedule.workers}
    awaited = 0
    while not schedule.finished:
        under_way += everything_given(schedule)
        worker = chance.choice(under_way)[0]
        # a worker begins as many batches as it has threads, in the order it got them
        begun = [pair for pair in under_way if pair[0] == worker][: threads[worker]]
        fatal = any(deadly & {item for _, item in batch.items} for _, batch in begun)
        if fatal or chance.random() < 0.02:
            batches, gone = schedule.left(worker)
            assert [batch for who, batch in under_way if who == worker] == batches
            under_way = [pair for pair in under_way if pair[0] != worker]
            lost.update(gone)
            name = f"w{next(names)}"
            threads[name] = chance.randint(1, 3)
            schedule.joined(name, threads[name])
        else:
            worker, batch = begun[0]
            under_way.remove((worker, batch))
            schedule.done(worker, batch, 0.01 * len(batch.items))
            done.update(index for index, _ in batch.items)
        while awaited in done or awaited in lost:
            awaited += 1
        schedule.waits_for(awaited)
    assert sorted((done + lost).elements()) == list(range(n))
    assert deadly <= lost.keys()


def test_only_what_ended_two_workers_is_lost() -> None:
    schedule = Schedule(range(40), total=40)
    schedule.joined("a", 1)
    lost = []
    ends = iter(range(100))
    while not schedule.finished:
        (worker, batch), *_ = everything_given(schedule)
        if any(item == 7 for _, item in batch.items):
            lost += schedule.left(worker)[1]
            schedule.joined(f"b{next(ends)}", 1)
        else:
            while (under_way := schedule._loads[worker].batches) and not any(
                i == 7 for _, i in under_way[0].items
            ):
                schedule.done(worker, under_way[0], 0.1)
    assert lost == [7]


def test_batches_take_seconds_and_get_smaller_towards_the_end() -> None:
    schedule = Schedule(range(1000), total=1000)
    schedule.joined("a", 1)
    sizes = []
    while not schedule.finished:
        for worker, batch in everything_given(schedule):
            sizes.append(len(batch.items))
            schedule.done(worker, batch, 0.05 * len(batch.items))
    assert sum(sizes) == 1000
    assert sizes[0] == 1
    assert max(sizes) == 30  # of 0.05 s each
    assert sizes[-1] == 1


def test_a_batch_of_heavy_items_is_small() -> None:
    schedule = Schedule(range(100), total=100, weigh=lambda item: 20 << 20)
    schedule.joined("a", 1)
    for _ in range(10):
        worker, batch = schedule.next() or pytest.fail("nothing is given")
        schedule.done(worker, batch, 1e-3 * len(batch.items))
    assert len(batch.items) == 2


def test_nobody_runs_far_ahead_of_what_is_waited_for() -> None:
    schedule = Schedule(iter(range(10**9)), gather=True)
    schedule.joined("slow", 1)
    schedule.joined("quick", 1)
    given = dict(everything_given(schedule))
    steps = 0
    while "quick" in given and steps < 10_000:
        schedule.done("quick", given["quick"], 1.0)
        given = {worker: batch for worker, batch in everything_given(schedule) if worker == "quick"}
        steps += 1
    assert steps < 50
