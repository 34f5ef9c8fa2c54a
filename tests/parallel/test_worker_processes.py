"""Work on many items by processes"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import works

import anthropo
from anthropo.errors import AnthropoError, FaceError, InputError, parameters_spelled
from anthropo.memory import memory
from anthropo.parallel import Lost, Processes, Threads, choose, processes
from anthropo.parallel import runner as runner_module
from anthropo.parallel.processes import sendable
from anthropo.parallel.worker import portable


def gone(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def until_gone(*pids: int) -> bool:
    until = time.monotonic() + 10
    while not all(map(gone, pids)):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture(params=[True, False], ids=["forked", "started"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_FORKS", request.param)


# ------------------------------------------------------------------------------------- results


@pytest.mark.usefixtures("_both_ways")
@pytest.mark.parametrize("jobs", [1, 3])
def test_results_come_in_order_or_as_they_finish(jobs: int) -> None:
    squares = [i * i for i in range(40)]
    assert list(Processes(jobs).in_order(works.square, range(40))) == squares
    assert sorted(Processes(jobs).completed(works.square, range(40))) == list(enumerate(squares))


def test_processes_know_measurements_of_ones_own() -> None:
    row = {"id": "lip_index", "name": "x", "kind": "ratio", "unit": "1"}
    with anthropo.registry.added(row | {"expression": "d(sn, sto) / d(chR, chL)"}):
        assert set(Processes(2).in_order(works.own_measurements, range(4))) == {("d(sn, sto) / d(chR, chL)",)}


def test_the_work_is_done_elsewhere_and_by_several() -> None:
    pids = set(Processes(3).in_order(works.who, range(60)))
    assert os.getpid() not in pids
    assert len(pids) == 3
    assert until_gone(*pids)  # type: ignore[arg-type]


def test_they_can_leave_other_programs_what_these_need() -> None:
    assert set(Processes(2, behind=True).in_order(works.niceness, range(4))) == {os.nice(0) + 10}
    assert set(Processes(2).in_order(works.niceness, range(4))) == {os.nice(0)}


def test_nothing_to_do() -> None:
    assert list(Processes(2).in_order(works.square, [])) == []


def test_large_results_arrive_whole() -> None:
    assert list(Processes(2).in_order(works.large, range(9))) == [works.large(i) for i in range(9)]


@pytest.mark.usefixtures("_both_ways")
def test_every_library_has_one_thread() -> None:
    assert set(Processes(2).in_order(works.threads, range(4))) == {(1, "1")}


@pytest.mark.usefixtures("_both_ways")
def test_messages_spell_parameters_as_the_caller_does() -> None:
    assert list(Processes(1).in_order(works.spelled, ["jobs"])) == ["jobs=1"]
    from anthropo.cli import as_option

    with parameters_spelled(as_option):
        assert list(Processes(1).in_order(works.spelled, ["jobs"])) == ["--jobs 1"]


def test_what_is_prepared_is_shared_by_the_workers() -> None:
    found = list(Processes(2).in_order(works.Prepared([]), range(20)))
    assert len({template for template, _ in found}) == 1  # type: ignore[misc]
    assert {template for template, _ in found}.isdisjoint(pid for _, pid in found)  # type: ignore[misc]


def test_items_are_taken_when_there_is_room_for_them() -> None:
    taken = []

    def items() -> Iterator[int]:
        for i in range(1000):
            taken.append(i)
            yield i

    for results in (
        Processes(2).completed(works.square, items()),
        Processes(2).in_order(works.square, items()),
    ):
        taken.clear()
        for _ in range(50):
            next(results)
        time.sleep(0.2)
        assert len(taken) <= 50 + processes.AHEAD * 2 + 4
        results.close()


# ------------------------------------------------------------------------- what cannot be sent


def test_what_cannot_be_sent_is_done_by_threads() -> None:
    pids = set(Processes(2).in_order(lambda _: os.getpid(), range(4)))
    assert pids == {os.getpid()}
    assert dict(Processes(2).completed(lambda i: -i, range(4))) == {0: 0, 1: -1, 2: -2, 3: -3}


@pytest.mark.usefixtures("_both_ways")
def test_what_cannot_be_made_again_elsewhere_is_done_by_threads() -> None:
    work = works.Unready()
    assert sendable(work) is not None
    assert list(Processes(2).in_order(work, range(3))) == [(i, os.getpid()) for i in range(3)]


def test_without_processes_there_are_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert set(Processes(2).in_order(works.who, range(4))) == {os.getpid()}


SCRIPT = """
import os
from pathlib import Path
import works
from anthropo.parallel import Processes

with open("runs", "a") as file:
    file.write("run\\n")

class Mine:
    def __call__(self, i):
        return os.getpid()

print(os.getpid() in set(Processes(2).in_order(works.who, range(9))))
print(os.getpid() in set(Processes(2).in_order(Mine(), range(9))))
"""


def test_a_script_needs_no_guard_of_its_main_part(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(works.__file__).parent)])}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("False\nTrue\n", "")
    assert (tmp_path / "runs").read_text() == "run\n"


# --------------------------------------------------------------------------------- what goes wrong


@pytest.mark.usefixtures("_both_ways")
def test_an_error_of_the_work_is_the_caller_s() -> None:
    with pytest.raises(FaceError, match="the third") as caught:
        list(Processes(2).in_order(works.fail_at_three, range(50)))
    assert "works.py" in str(caught.value.__cause__)


def test_an_error_that_cannot_be_sent_says_the_same_as_one_of_its_base() -> None:
    with pytest.raises(FaceError, match="1 and 2"):
        list(Processes(1).in_order(works.fail_oddly, [0]))
    assert str(portable(works.OddError(3, 4))) == "3 and 4"


@pytest.mark.usefixtures("_both_ways")
def test_an_item_whose_process_is_killed_twice_is_lost_and_others_are_not() -> None:
    results = list(Processes(2).in_order(works.killed, range(40)))
    assert results[7] == Lost("the process that worked on it was killed (SIGKILL)")
    assert results[7].reason("p.jpg") == (  # type: ignore[union-attr]
        "p.jpg: the process that worked on it was killed (SIGKILL), twice. Use fewer jobs if memory is "
        "short, or leave the photo out."
    )
    assert [r for i, r in enumerate(results) if i != 7] == [i for i in range(40) if i != 7]


def test_an_item_whose_process_is_killed_once_is_tried_again(tmp_path: Path) -> None:
    results = list(Processes(2).in_order(works.KilledOnce(tmp_path), range(40)))
    assert results[11] == -11
    assert results[13] == Lost("the process that worked on it crashed (SIGSEGV)")


def test_workers_that_are_killed_from_outside_are_replaced() -> None:
    seen = set()
    results = Processes(2).in_order(works.who, range(400))
    for i, pid in enumerate(results):
        seen.add(pid)
        if i in (50, 100, 150):
            os.kill(int(pid), signal.SIGKILL)  # type: ignore[call-overload]
    assert len([pid for pid in seen if isinstance(pid, int)]) >= 4


def test_where_every_process_ends_at_once_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(
        pool: processes._Pool[int, int], worker: processes._Worker[int], entry: tuple[int, int, int]
    ) -> None:
        worker.queue.append((*entry[:2], 0))  # never its last try
        os.kill(worker.pid, signal.SIGKILL)

    monkeypatch.setattr(processes._Pool, "_give", kill)
    with pytest.raises(AnthropoError, match=r"end \(was killed \(SIGKILL\)\). Use jobs=1\."):
        list(Processes(2).in_order(works.square, range(40)))


def test_a_killed_template_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    program = processes._Pool._program

    def noted(pool: processes._Pool[int, int], theirs: object) -> object:
        made.append(program(pool, theirs))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(processes._Pool, "_program", noted)
    results = Processes(2).in_order(works.who, range(300))
    pid = next(results)
    made[0].kill()
    os.kill(int(pid), signal.SIGKILL)  # type: ignore[call-overload]
    assert len(list(results)) == 299
    assert len(made) == 2


# ------------------------------------------------------------------------------------------ leaving


def test_closing_lets_what_is_under_way_finish_and_begins_nothing_more(tmp_path: Path) -> None:
    results = Processes(2).completed(works.Logged(tmp_path, 0.2), range(50))
    next(results)
    results.close()
    begun, done = (sorted(tmp_path.glob(f"*.{what}")) for what in ("begun", "done"))
    assert 2 <= len(begun) == len(done) <= 5


def test_what_is_stuck_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PATIENCE", 0.5)
    results = Processes(2).completed(works.stuck, range(8))
    next(results)
    workers = {
        int(p.name)
        for p in Path("/proc").iterdir()
        if p.name.isdigit() and "anthropo.parallel" in _command(p)
    }
    start = time.monotonic()
    results.close()
    assert time.monotonic() - start < 5
    assert until_gone(*workers)


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


ENDLESS = """
import sys, works
from anthropo.parallel import Processes
for pid in Processes(2).completed(works.who if sys.argv[1] == "quick" else works.stuck, iter(int, 1)):
    print(pid[1], flush=True)
"""


def test_workers_end_with_a_killed_main_process() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(works.__file__).parent)])}
    main = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, "quick"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert main.stdout
    pids = {int(main.stdout.readline()) for _ in range(40)}
    main.kill()
    main.communicate()
    assert until_gone(*pids)


def test_signals_are_for_the_main_process_alone() -> None:
    results = Processes(2).in_order(works.who, range(200))
    pids = {int(next(results)) for _ in range(20)}  # type: ignore[call-overload]
    for pid in pids:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
    assert {int(pid) for pid in results} <= pids  # type: ignore[call-overload]


COPY = """
import os, sys, works
from anthropo.parallel import Processes, processes
held, (out, into) = open(os.devnull), os.pipe()
print(processes._is_copied_safely(), max(Processes(2).in_order(works.descriptors, range(9))))
"""


def test_a_copy_of_the_process_has_none_of_its_files() -> None:
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    places = os.pathsep.join([*sys.path, str(Path(works.__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", COPY],
        env={**os.environ, **one_thread, "PYTHONPATH": places},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "True 5\n", done.stderr  # three standard ones, the link and the lock


def test_no_thread_or_descriptor_is_left() -> None:
    list(Processes(2).in_order(works.square, range(9)))
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    list(Processes(2).in_order(works.square, range(9)))
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before


# ------------------------------------------------------------------------------------------- memory


@pytest.mark.usefixtures("_both_ways")
def test_memory_is_divided_among_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "most", 900)
    assert set(Processes(2).in_order(works.most, range(6))) == {300}


@pytest.mark.usefixtures("_both_ways")
def test_one_photo_at_a_time_takes_more_than_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "most", 400)
    sizes = [50, 150, 60, 200, 150, 70, 300, 90, 120] * 3  # a share is 100
    assert max(Processes(3).in_order(works.Takes(tmp_path), sizes)) == 1


def test_threads_give_the_same() -> None:
    for runner in (Threads(1), Threads(3), Processes(2)):
        assert list(runner.in_order(works.square, range(30))) == [i * i for i in range(30)]


# ----------------------------------------------------------------------------------------- choosing


def test_processes_are_chosen_for_many_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "available_cores", lambda: 2)
    assert choose(2, runner_module.ENOUGH) == Processes(2)
    assert choose(2, runner_module.ENOUGH - 1) == Threads(2)
    assert choose(2) == Processes(2)
    assert choose(1, 10**6) == Threads(1)
    assert choose(2, 10**6, Threads(7)) == Threads(7)


def test_there_are_no_more_workers_than_photos_or_than_cores_can_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "available_cores", lambda: 2)
    assert choose(10_000, 10**6) == Processes(8)
    assert choose(10_000, 3) == Threads(3)
    assert choose(4, 0) == Threads(1)


def test_a_program_in_one_file_has_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert choose(2, 10**6) == Threads(2)


@pytest.mark.parametrize("jobs", [0, -3])
def test_no_jobs_are_refused(jobs: int) -> None:
    with pytest.raises(InputError, match=rf"^jobs={jobs}: at least 1 is needed\.$"):
        choose(jobs, 3)
