"""Clusters of Dask: processes of this machine, a scheduler over TCP, jobs of a SLURM that is a fake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cluster_works as works
import numpy as np
import psutil
import pytest
from conftest import Copies, Invoke, refused
from PIL import Image

import anthropo
from anthropo.encoder.cache import Store
from anthropo.files import held
from anthropo.learning.cohort import Case, Cohort
from anthropo.parallel import Cluster, ClusterError, Lost, connection
from anthropo.synthetic import make_cohort

HERE = Path(__file__).parent
ROOT = Path(anthropo.__file__).parents[1]
QUICK = ("--jitter", 1, "--no-fine")


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def local(told: list[str]) -> Iterator[Cluster]:
    with Cluster("local:2", tell=told.append) as cluster:
        yield cluster


def measuring(place: str, folder: Path, **options: Any) -> subprocess.Popen[str]:
    """The command in a process of its own, which measures the folder `photos` in another one by a cluster."""
    command = [sys.executable, "-m", "anthropo", "measure", "photos", "-o", "table.csv", "--cluster", place]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, **options
    )


class Running:
    """A scheduler and workers, as somebody may have started them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []
        file = folder / "scheduler.json"
        self.scheduler = self.start("scheduler", "--scheduler-file", file, "--port", 0)
        until(file.exists)
        self.address: str = json.loads(file.read_text())["address"]

    def start(self, what: str, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--host", "127.0.0.1"]
        command += ["--no-dashboard", *map(str, arguments)]
        path = os.pathsep.join([str(ROOT), str(HERE)])
        with open(self.folder / "log", "a") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, "PYTHONPATH": path, **variables},
                stdout=log, stderr=log, text=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def worker(self, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        """A worker process, and no more than that: what ends it is not started again."""
        given = ("--no-nanny", "--local-directory", self.folder, "--preload", "cluster_works", *arguments)
        return self.start("worker", self.address, *given, **variables)

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two workers, one of two threads, in another folder than the tests."""
    made = Running(tmp_path_factory.mktemp("elsewhere"))
    made.worker("--nthreads", 1)
    made.worker("--nthreads", 2)
    yield made
    made.end()


@pytest.fixture(scope="module")
def _changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = Running(tmp_path_factory.mktemp("changing"))
    yield made
    made.end()


@pytest.fixture
def changing(_changing: Running) -> Iterator[Running]:
    """A scheduler without workers, to which a test adds some."""
    with Cluster(_changing.address) as cluster:
        until(lambda: not cluster.connect().workers())
        yield _changing
        for worker in _changing.processes[1:]:
            worker.kill()
            worker.wait()


@pytest.fixture
def photos(tmp_path: Path, copies: Copies, faceless_png: Path) -> Path:
    """A table of photos: some good ones, one without a face, one that is no photo, one that is not there."""
    folder = tmp_path / "photos"
    names = [f"p{i}.png" for i in range(5)]
    for i, path in enumerate(copies(folder, *names)):
        Image.open(path).rotate(3 * i).save(path)
    (folder / "coins.png").write_bytes(faceless_png.read_bytes())
    (folder / "text.jpg").write_text("no photo")
    rows = [f"{name},{20 + i},female" for i, name in enumerate([*names, "coins.png", "text.jpg", "gone.png"])]
    (folder / "cohort.csv").write_text("\n".join(["photo,age,sex", *rows]) + "\n")
    return folder


# ------------------------------------------------------------------------------------ same results


@pytest.fixture(scope="module")
def table_of_one_thread() -> dict[str, bytes]:
    return {}


@pytest.mark.parametrize("way", ["threads", "local", "tcp", "sent"])
def test_tables_are_the_same_to_the_last_byte(
    way: str,
    photos: Path,
    running: Running,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    table_of_one_thread: dict[str, bytes],
) -> None:
    monkeypatch.chdir(photos.parent)  # relative paths, which begin elsewhere for the workers
    options = {
        "threads": ["-j", 2],
        "local": ["--cluster", "local:2"],
        "tcp": ["--cluster", running.address],
        "sent": ["--cluster", running.address, "--send-photos"],
    }[way]
    known = table_of_one_thread
    for suffix in ("csv",) if way == "local" else ("csv", "json"):  # each time it starts processes
        if suffix not in known:
            alone = invoke("measure", "photos/cohort.csv", "-o", f"table.{suffix}", *QUICK, "-j", 1)
            known[suffix] = Path(f"table.{suffix}").read_bytes()
            known["said"] = alone.stderr.replace("table.json", "table.csv").encode()
            Path(f"table.{suffix}").unlink()
        result = invoke("measure", "photos/cohort.csv", "-o", f"table.{suffix}", *QUICK, *options)
        assert result.exit_code == 3
        assert Path(f"table.{suffix}").read_bytes() == known[suffix]
    said = result.stderr.replace("table.json", "table.csv")
    said = said.replace("Waiting for the first worker of the cluster.\n", "")
    if way == "sent":
        said = said.removeprefix("8 photos, 2.1 MB, are sent to the workers.\n")
    assert said == known["said"].decode()


def test_a_second_run_with_nothing_to_do_starts_no_cluster(
    tmp_path: Path, copies: Copies, invoke: Invoke
) -> None:
    copies(tmp_path / "p", "a.png")
    for place in ("-j1", "--cluster=tcp://127.0.0.1:9"):
        assert invoke("measure", tmp_path / "p", "-o", tmp_path / "t.csv", *QUICK, place).exit_code == 0


def test_features_are_the_same_to_the_last_bit(photos: Path, local: Cluster) -> None:
    cases = [Case(str(path), "a", path.stem) for path in sorted(photos.glob("*.png"))]
    cohort, settings = Cohort(tuple(cases), "c"), anthropo.Settings(jitter=1, fine=False)
    encoder = anthropo.load_encoder()
    here = anthropo.extract(cohort, settings, encoder, jobs=2)
    there = anthropo.extract(cohort, settings, encoder, runner=local)
    assert here.left_out == there.left_out
    assert [path for path, _ in here.left_out] == [str(photos / "coins.png")]
    for name in ("measurements", "prints", "shapes", "portraits", "gate", "hidden", "identities", "digests"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
    for region, values in here.regions.items():
        np.testing.assert_array_equal(values, there.regions[region])


def test_models_and_judgements_are_the_same_to_the_last_byte(
    tmp_path: Path, running: Running, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole commands: what is read on the cluster, and judged and fitted here."""
    table = make_cohort(tmp_path / "cohort", 5, ("control", "synthetic-A"))
    options: tuple[object, ...] = ("--allow-duplicates", "--regions", "face", "--folds", 2, "--repeats", 1)
    options += ("--classifier", "linear", "--cache", "none", *QUICK)  # each photo is looked at each time
    made: dict[str, list[bytes]] = {}
    for way in (("-j", 2), ("--cluster", running.address)):
        if way[0] == "--cluster":
            monkeypatch.setattr("anthropo.learning.features.observe", None)  # nothing is looked at here
        monkeypatch.chdir(tmp_path)
        alone: tuple[object, ...] = ("--allow-duplicates", "--cache", "none")
        for output, *command in (
            ("m.anthropo", "train", table, *options),
            ("judged.json", "evaluate", table, *options),
            ("again.json", "evaluate", table, "--model", "m.anthropo", *alone),
            ("map.csv", "map", table, "--cache", "none", *QUICK),
        ):
            result = invoke(*command, "-o", output, *way)
            assert result.exit_code == 0, result.output
            made.setdefault(way[0], []).append(Path(output).read_bytes())
    assert made["-j"] == made["--cluster"]


def test_a_network_is_trained_on_what_a_cluster_has_cut(
    tmp_path: Path, running: Running, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_cohort(tmp_path / "cohort", 3, ("control", "synthetic-A"))
    small = ("size=32", "views=face", "epochs=1", "batch=2", "folds=3", "identity=none")
    options: tuple[object, ...] = ("--recipe", "deepgestalt", "--allow-duplicates", "--device", "cpu", *QUICK)
    options += tuple(word for each in small for word in ("--set", each))
    monkeypatch.chdir(tmp_path)
    for output, *way in (("here.anthropo", "-j", 2), ("there.anthropo", "--cluster", running.address)):
        if way[0] == "--cluster":
            monkeypatch.setattr("anthropo.networks.pictures.observe", None)  # nothing is looked at here
        result = invoke("finetune", table, "-o", output, *options, *way)
        assert result.exit_code == 0, result.output
    assert Path("here.anthropo").read_bytes() == Path("there.anthropo").read_bytes()


def test_of_sent_photos_the_cache_is_the_one_here(
    photos: Path, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [Case(str(path), "a", path.stem) for path in sorted(photos.glob("*.*g"))]
    cohort, settings, store = (
        Cohort(tuple(cases), "c"),
        anthropo.Settings(jitter=1, fine=False),
        Store(tmp_path / "s"),
    )
    encoder = anthropo.load_encoder()
    some = Cohort(cohort.cases[:3], "c")
    anthropo.extract(some, settings, encoder, regions=("face",), store=store)
    before = len(list(store.folder.rglob("*.bin")))
    said: list[str] = []
    with Cluster(running.address, send_photos=True, tell=said.append) as cluster:
        there = anthropo.extract(cohort, settings, encoder, regions=("face",), store=store, runner=cluster)
    assert said[0].startswith(f"{len(cases) - before} photos, ")  # the others are known
    assert len(list(store.folder.rglob("*.bin"))) == len(cases)
    monkeypatch.setattr("anthropo.learning.features.observe", None)  # from now on nothing is looked at
    here = anthropo.extract(cohort, settings, encoder, regions=("face",), store=store)
    np.testing.assert_array_equal(here.regions["face"], there.regions["face"])
    assert here.left_out == there.left_out


def test_overlays_and_landmark_files_are_written_here(
    tmp_path: Path, photos: Path, running: Running, invoke: Invoke
) -> None:
    for way, cluster in (("here", []), ("there", ["--cluster", running.address])):
        beside = ["--overlay", tmp_path / way / "o", "--save-landmarks", tmp_path / way / "l"]
        invoke("measure", photos, "-o", tmp_path / f"{way}.csv", *QUICK, *beside, *cluster)
    files = sorted(path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*.*"))
    assert len(files) == 10
    for file in files:
        assert (tmp_path / "here" / file).read_bytes() == (tmp_path / "there" / file).read_bytes()


def test_results_come_in_order_or_as_they_come(local: Cluster) -> None:
    assert list(local.in_order(works.slowly, iter(range(100)))) == list(range(100))
    assert sorted(local.completed(works.slowly, range(100))) == [(i, i) for i in range(100)]
    assert list(local.completed(abs, [])) == []


def test_an_exception_is_raised_where_the_result_would_come(local: Cluster) -> None:
    results = local.in_order(works.fails_at_five, range(10))
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="five"):
        next(results)


def test_workers_work_as_this_process_does(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spelled = anthropo.errors.parameters_spelled(lambda name, value: f"<{name}>")
    with Cluster(running.address) as cluster, spelled:
        seen = set(cluster.in_order(works.surroundings, range(8)))
    assert seen == {(str(tmp_path), "<face>", 1)}


# ----------------------------------------------------------------------------- workers that end


def test_what_a_worker_ended_with_is_tried_once_more(local: Cluster, told: list[str], tmp_path: Path) -> None:
    told.clear()
    assert list(local.in_order(works.Deadly((3,), tmp_path), range(40))) == list(range(40))
    (line,) = told
    assert line.endswith("this worker has ended. What it was working on is tried once more.")


def test_what_two_workers_ended_with_is_lost_and_nothing_else(local: Cluster) -> None:
    results = list(local.in_order(works.Deadly((11,)), range(40)))
    assert [i for i, result in enumerate(results) if result != i] == [11]
    assert isinstance(results[11], Lost)
    reason = results[11].reason("p11.jpg")
    assert reason.startswith("p11.jpg: the worker that had it ended, twice. Give workers more memory if")


def test_a_worker_out_of_memory_ends_and_the_rest_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_LEAST_MEMORY", 400 << 20)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 500 << 20)
    said: list[str] = []
    with Cluster("local:1", tell=said.append) as cluster:
        results = list(cluster.in_order(works.greedy, range(10)))
    assert [i for i, result in enumerate(results) if result != i] == [5]
    assert any("this worker has ended, for it had used up its memory." in line for line in said)


def test_a_scheduler_that_goes_away_keeps_what_is_finished(
    tmp_path: Path, copies: Copies, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copies(tmp_path / "photos", *(f"p{i:02}.png" for i in range(40)))
    made = Running(tmp_path)
    try:
        made.worker("--nthreads", 1)
        run = measuring(made.address, tmp_path)
        until(lambda: any(path.stat().st_size > 2000 for path in tmp_path.glob("*table.csv*")))
        made.scheduler.kill()
        said = run.communicate(timeout=60)[1].splitlines()
    finally:
        made.end()
    assert run.returncode == 2
    assert said[-1].startswith(
        f"Error: {made.address}: the connection to the scheduler was lost. What is finished is kept"
    )
    assert len(said) <= 2
    assert not list(tmp_path.glob("table.csv.run.json"))
    rest = invoke("measure", "photos", "-o", "table.csv", "-j", 2)
    assert "of them by an earlier run" in rest.stderr
    invoke("measure", "photos", "-o", "whole.csv", "-j", 2)
    assert (tmp_path / "table.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_an_interrupted_run_leaves_no_process_behind(tmp_path: Path, copies: Copies) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # one after the other: the second would end meanwhile
        copies(tmp_path / str(number) / "photos", *(f"p{i:03}.png" for i in range(150)))
        run = measuring("local:1", tmp_path / str(number), start_new_session=True)
        until(lambda n=number: any(p.stat().st_size > 2000 for p in (tmp_path / str(n)).glob("*table.csv*")))
        children = psutil.Process(run.pid).children(recursive=True)
        assert children
        os.killpg(run.pid, number)  # as a terminal does
        said = run.communicate(timeout=60)[1].splitlines()
        assert run.returncode == 130
        assert said[-1].endswith("and kept in table.csv. Run the same command to continue.")
        assert len(said) == 1
        assert not psutil.wait_procs(children, timeout=10)[1]


# -------------------------------------------------------------------------------- who is refused


def test_workers_that_differ_are_refused_by_name(changing: Running, photos: Path, invoke: Invoke) -> None:
    changing.worker(TEST_VERSION="0.0.1")
    changing.worker(TEST_WEIGHTS="another")
    changing.worker()  # which does not differ: the others are named all the same
    with Cluster(changing.address) as cluster:
        until(lambda: len(cluster.connect().workers()) == 3)
    says = refused(invoke, "measure", photos, "--cluster", changing.address)
    assert f"anthropo 0.0.1 there, {anthropo.__version__} here" in says
    assert "settings and weights " in says
    assert says.count("tcp://127.0.0.1:") == 2


def test_a_worker_that_joins_later_is_refused_as_well(changing: Running) -> None:
    said: list[str] = []
    changing.worker()
    with Cluster(changing.address, tell=said.append) as cluster:
        results = cluster.completed(works.slowly, iter(range(100_000)))
        next(results)
        changing.worker(TEST_VERSION="0.0.1")
        changing.worker(TEST_WEIGHTS="another")  # which this work does not depend on
        while len(cluster.connect().workers()) < 3 or not any("without it" in line for line in said):
            next(results)
        results.close()
    (refusal,) = [line for line in said if "without" in line]
    assert "anthropo 0.0.1 there" in refusal
    assert refusal.startswith("tcp://127.0.0.1:")


def test_photos_that_workers_do_not_see_have_to_be_sent(
    changing: Running, tmp_path: Path, photos: Path, invoke: Invoke
) -> None:
    changing.worker(TEST_HIDDEN=str(photos))
    says = refused(invoke, "measure", photos, "--cluster", changing.address)
    assert f"it does not see {photos / 'coins.png'}" in says
    assert "pass --send-photos" in says
    invoke("measure", photos / "cohort.csv", "-o", tmp_path / "here.csv", *QUICK)
    sent = ("--cluster", changing.address, "--send-photos")
    result = invoke("measure", photos / "cohort.csv", "-o", tmp_path / "there.csv", *QUICK, *sent)
    assert "8 photos, 2.1 MB, are sent to the workers." in result.stderr
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()


# ------------------------------------------------------------------------------------- wrong use


def test_a_cluster_that_cannot_be_used_is_one_sentence(
    invoke: Invoke, astronaut_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(
        invoke, "measure", astronaut_png, "--cluster", "tcp://127.0.0.1:9", says="no scheduler answers there"
    )
    refused(invoke, "measure", astronaut_png, "--cluster", "lokal", says="no such kind of cluster")
    refused(invoke, "measure", astronaut_png, "--send-photos", says="--send-photos is about --cluster")
    table = tmp_path / "t.csv"
    with held(table):  # which is seen before the cluster is looked for
        anywhere = ("-o", table, "--cluster", "tcp://127.0.0.1:9")
        refused(invoke, "measure", astronaut_png, *anywhere, says="another run is writing this file")
    (tmp_path / "s.yaml").write_text("cores: [")
    refused(invoke, "measure", astronaut_png, "--cluster", f"slurm:{tmp_path}/s.yaml", says="not valid YAML")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "s.yaml").write_text("cores: 1\nmemory: 1GB\n")
    refused(
        invoke, "measure", astronaut_png, "--cluster", f"slurm:{tmp_path}/s.yaml", says="sbatch, the command"
    )
    find = connection.importlib.util.find_spec
    monkeypatch.setattr(
        connection.importlib.util, "find_spec", lambda name: None if name == "distributed" else find(name)
    )
    says = refused(invoke, "measure", astronaut_png, "--cluster", "local")
    line = '`pip install "anthropo[cluster]"`'
    assert says == f"Error: --cluster needs Dask, which is not installed. Install it with {line}.\n"


def test_a_scheduler_without_workers_is_waited_for_only_so_long(changing: Running) -> None:
    said: list[str] = []
    with (
        Cluster(changing.address, patience=1.5, tell=said.append) as cluster,
        pytest.raises(ClusterError, match="it has no workers"),
    ):
        list(cluster.completed(works.slowly, range(3)))
    assert said == ["Waiting for the first worker of the cluster."]


# ------------------------------------------------------------------------------------------ SLURM


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with programs like SLURM's, which start a job at once on this machine."""
    programs = {
        "sbatch": 'cp "$1" "$0.script"; setsid bash "$0.script" >"$0.log" 2>&1 </dev/null &\n'
        f"echo $! >>{tmp_path}/jobs; echo Submitted batch job $!",
        "scancel": 'echo "$1" >>"$0.log"; kill -- -"$1"',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ANTHROPO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(HERE)]))
    (tmp_path / "s.yaml").write_text(
        "cores: 2\nmemory: 4GB\nwalltime: 00:30:00\nqueue: long\naccount: genes\ninterface: lo\n"
        "job-extra-directives:\n  - --constraint=avx512\njob-script-prologue:\n  - export STARTED=1\n"
    )
    return tmp_path


@pytest.mark.skipif(not os.path.exists("/usr/bin/setsid"), reason="needs setsid")
@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_of_slurm_do_the_work_are_replaced_and_ended(
    slurm: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    import dask
    import distributed  # noqa: F401 - its defaults, which would go again with what is set here

    monkeypatch.setattr("anthropo.parallel.slurm._GRACE", 0.5 if workers > 1 else 60)
    options = (slurm / "s.yaml").read_text()
    (slurm / "s.yaml").write_text(options.replace("cores: 2", f"cores: {workers}"))
    # after which Dask ends a job of one worker itself
    soon = dask.config.set({"distributed.deploy.lost-worker-timeout": "0.3 s"})
    said: list[str] = []
    with soon, Cluster(f"slurm:{slurm}/s.yaml", tell=said.append) as cluster:
        results = cluster.in_order(works.slowly, range(300))
        done = [next(results)]
        deadline = time.monotonic() + 30  # the first worker begins before the second one is there
        while len(cluster.connect().workers()) < workers and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(cluster.connect().workers()) == workers
        (job,) = (slurm / "jobs").read_text().split()
        os.killpg(int(job), signal.SIGKILL)  # as at its time limit
        assert done + list(results) == list(range(300))
    assert len((slurm / "jobs").read_text().split()) == 2
    script = (slurm / "sbatch.script").read_text()
    for line in (
        "-p long",
        "-A genes",
        f"--cpus-per-task={workers}",
        "-t 00:30:00",
        "--constraint=avx512",
        "--mem=4G",
    ):
        assert f"#SBATCH {line}\n" in script
    assert "export STARTED=1\n" in script
    assert "--nthreads 1" in script
    assert "tls://" in script
    assert (slurm / "jobs").read_text().split()[1] in (slurm / "scancel.log").read_text().split()
    assert said[0] == "Waiting for the first worker of the cluster."
    assert all("What it was working on is tried once more." in line for line in said[1:])
    assert list((slurm / "cache" / "cluster").iterdir()) == []  # the certificates


@pytest.mark.skipif(not os.path.exists("/usr/bin/setsid"), reason="needs setsid")
@pytest.mark.parametrize("asked", ["nothing is listed", "the controller does not answer"])
def test_jobs_that_end_before_a_worker_joins_are_given_up(
    slurm: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setattr("anthropo.parallel.slurm._ASK", 0.2)
    (slurm / "sbatch").write_text(
        f"#!/bin/bash\ncd {slurm}; n=$(($(wc -l <jobs) + 41)); echo $n >>jobs; echo Submitted batch job $n\n"
    )
    (slurm / "jobs").touch()
    answers = asked == "nothing is listed"
    (slurm / "squeue").write_text(
        f"#!/bin/bash\necho $@ >>{slurm}/asked\n{'' if answers else 'echo down >&2; exit 1'}\n"
    )
    (slurm / "squeue").chmod(0o755)
    with Cluster(f"slurm:{slurm}/s.yaml") as cluster:
        if answers:
            with pytest.raises(
                ClusterError, match=r"^SLURM's jobs 41, 42, 43 ended before a worker of theirs"
            ):
                list(cluster.completed(works.slowly, range(3)))
            assert (slurm / "jobs").read_text().split() == ["41", "42", "43"]
        else:  # nobody knows, so it is waited for
            for _ in range(5):
                assert cluster.connect().workers() == {}
                time.sleep(0.3)
            assert (slurm / "jobs").read_text().split() == ["41"]
    assert "--noheader --format=%A --user=" in (slurm / "asked").read_text()


def test_a_job_that_slurm_refuses_is_one_sentence(slurm: Path) -> None:
    (slurm / "sbatch").write_text("#!/bin/bash\necho 'sbatch: error: invalid partition: long' >&2; exit 1\n")
    with (
        Cluster(f"slurm:{slurm}/s.yaml") as cluster,
        pytest.raises(
            ClusterError, match=r"^SLURM does not take the jobs \(sbatch: error: invalid partition: long\)\.$"
        ),
    ):
        list(cluster.completed(works.slowly, range(3)))
