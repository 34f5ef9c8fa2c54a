"""What runs on the workers of a cluster is as where the work comes from."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from works import own_measurements, surroundings

import anthropo
from anthropo import errors
from anthropo.licensing import is_permissive_run
from anthropo.parallel import remote
from anthropo.parallel.dispatcher import Dispatcher


@pytest.mark.parametrize("permissive", [None, "1"])
def test_work_has_folder_licences_and_spelling_of_the_run_that_it_belongs_to(
    tmp_path: Path, permissive: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPO_PERMISSIVE", raising=False)
    before = os.getcwd()
    there = remote.Surroundings(str(tmp_path), permissive, errors.in_python)
    remote.keep_work("a work", pickle.dumps(surroundings), there)
    answer = pickle.loads(remote.do("a work", pickle.dumps(([0], {}))))
    assert answer.results == [(str(tmp_path), permissive is not None, "jobs=2")]
    assert (os.getcwd(), is_permissive_run()) == (before, False)


def test_workers_of_a_cluster_know_measurements_of_ones_own(tmp_path: Path) -> None:
    row = {"id": "lip_index", "name": "x", "kind": "ratio", "unit": "1"}
    with anthropo.registry.added(row | {"expression": "d(sn, sto) / d(chR, chL)"}):
        there = remote.Surroundings(str(tmp_path), None, errors.in_python, anthropo.registry.definitions)
    assert not anthropo.registry.user_defined
    remote.keep_work("own", pickle.dumps(own_measurements), there)
    answer = pickle.loads(remote.do("own", pickle.dumps(([1], {}))))
    assert answer.results == [("d(sn, sto) / d(chR, chL)",)]
    assert not anthropo.registry.user_defined


def test_a_permissive_run_says_so_to_its_workers() -> None:
    def of_a_run() -> remote.Surroundings:
        return Dispatcher(  # type: ignore[arg-type]
            None, surroundings, [], gather=False, send_photos=False, tell=print, patience=None
        ).surroundings

    assert of_a_run().permissive is None
    with anthropo.permissive():
        assert of_a_run().permissive == "1"
