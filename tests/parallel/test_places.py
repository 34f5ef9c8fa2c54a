"""How a cluster is named, and what a file for SLURM may hold."""

import signal
from pathlib import Path

import pytest

from anthropo.errors import InputError
from anthropo.parallel.places import KEYS, Local, Running, Slurm, parse_place
from anthropo.parallel.slurm import jobqueue


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("local", Local(None)),
        ("local:3", Local(3)),
        ("tcp://scheduler:8786", Running("tcp://scheduler:8786")),
        ("tls://10.0.0.7:8786", Running("tls://10.0.0.7:8786")),
        ("tcp://[::1]:8786", Running("tcp://[::1]:8786")),
        ("slurm", Slurm()),
    ],
)
def test_a_place_is_read(text: str, place: object) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no such kind of cluster. Choose from local, local:4, tcp://scheduler:8786"),
        ("loca:2", "no such kind of cluster"),
        ("local:0", "a number of worker processes from 1 to 1024"),
        ("local:x", "a number of worker processes"),
        ("local:99999", "a number of worker processes"),
        ("local:٣", "a number of worker processes"),
        ("tcp://scheduler", "Write tcp://scheduler:8786"),
        ("tcp:8786", "Write tcp://scheduler:8786"),
        ("tcp://a b:8786", "Write tcp://scheduler:8786"),
        ("tcp://scheduler:99999", "Write tcp://scheduler:8786"),
        ("slurm:", "the file's name is missing"),
        ("slurm:gone.yaml", "gone.yaml: no such file."),
    ],
)
def test_a_place_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=r"(?s)^[^\n]*$") as error:
        parse_place(text)
    assert says in str(error.value)


def slurm(folder: Path, text: str) -> Slurm:
    (folder / "s.yaml").write_text(text)
    place = parse_place(f"slurm:{folder / 's.yaml'}")
    assert isinstance(place, Slurm)
    return place


def test_a_file_for_slurm_is_read(tmp_path: Path) -> None:
    place = slurm(
        tmp_path,
        "jobs: 4\ncores: 8\nmemory: 16GB\nwalltime: 02:00:00\nqueue: long\naccount: genetics\n"
        "job-extra-directives: ['--constraint=avx512']\njob_script_prologue:\n - module load python\n",
    )
    assert place.jobs == 4
    assert place.tls
    assert place.options == {
        "cores": 8,
        "processes": 8,
        "memory": "16GB",
        "walltime": "02:00:00",
        "queue": "long",
        "account": "genetics",
        "job_extra_directives": ["--constraint=avx512"],
        "job_script_prologue": ["module load python"],
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cores: [8", "not valid YAML"),
        ("\tcores: 8", "not valid YAML"),
        ("a: &x [*x]", "holds an alias (*name)"),
        ("[" * 5000, "not valid YAML (nested too deeply)"),
        ("cores 8", "not a table of options"),
        ("", "cores is missing"),
        ("cores: 8", "memory is missing. Add what a job has, as in `memory: 16GB`"),
        ("memory: 8GB", "cores is missing"),
        ("cores: 8\nmemory: 8GB\nqueu: long", "'queu' is unknown. Choose from jobs, cores, memory"),
        ("cores: 8\nmemory: 8GB\n3: long", "'3' is unknown"),
        ("cores: 8\nmemory: 8", "memory is '8', and has to be a size such as 8GB"),
        ("cores: 0\nmemory: 8GB", "cores is '0', and has to be a whole number from 1 on"),
        ("cores: 2.5\nmemory: 8GB", "cores is '2.5'"),
        ("cores: [2]\nmemory: 8GB", "cores is ['2']"),
        ("cores: 2\nmemory: 8GB\nprocesses: 3", "3 processes on 2 cores"),
        ("cores: 2\nmemory: 8GB\nwalltime: tomorrow", "has to be a time such as 02:00:00"),
        ("cores: 2\nmemory: 8GB\njob-extra-directives: x", "has to be a list of texts"),
        ("cores: 2\nmemory: 8GB\ntls: maybe", "has to be true or false"),
        ("cores: 2\nmemory: 8GB\nlog-directory: a\nlog_directory: b", "log-directory is there twice"),
        ("!!python/object/apply:os.system ['true']", "not a table of options"),
    ],
)
def test_a_file_for_slurm_that_says_something_else_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=r"(?s)^[^\n]*$") as error:
        slurm(tmp_path, text)
    assert "s.yaml" in str(error.value)
    assert says in str(error.value)


def test_dask_jobqueue_knows_every_key() -> None:
    import dask

    before = signal.getsignal(signal.SIGINT)
    jobqueue()  # brings its configuration
    assert signal.getsignal(signal.SIGINT) is before  # or Ctrl-C would not keep what is finished

    assert KEYS.keys() - {"jobs", "tls"} <= dask.config.get("jobqueue.slurm").keys()
