"""Refits explain as the models that they were, and say which contributions are stable."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import DIMENSION, ENCODER, simulated

from anthropo.errors import ModelError
from anthropo.explanation.contributions import Explained, explain_features, is_stable, range_of
from anthropo.learning import deep, measured, refits
from anthropo.learning.attributes import AttributeModel
from anthropo.learning.bundle import Bundle, read_bundle, write_bundle
from anthropo.learning.card import card, describe, stability
from anthropo.learning.features import Features, feature_frame, subset
from anthropo.learning.judging import CrossValidation, cross_validate
from anthropo.learning.model import LabelModel, Options
from anthropo.learning.normality import NormalityModel
from anthropo.learning.refits import KeptRefit, within_limits
from anthropo.learning.trained import Trained
from anthropo.learning.training import fit_model, make_trained
from anthropo.measurement.registry import registry
from anthropo.settings import Settings
from anthropo.workflows import inspect

Change = Callable[[dict[str, Any], dict[str, Any]], Any]  # of a manifest and arrays

SETTINGS = Settings(jitter=2)
#: Ratios and areas are made from the others, and count less.
IDS = [n for n, e in registry().items() if not e.needs_mm and e.kind not in ("ratio", "area")][:24]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 20)
    monkeypatch.setattr(deep, "_FREQUENCIES", 48)


def cohort(people: dict[str, int] | None = None, seed: int = 0) -> Features:
    people = people or {"control": 24, "noonan": 20}
    n = 2 * sum(people.values())
    random = np.random.default_rng(seed)
    sites = [("arm", "leg", None)[i] for i in random.integers(0, 3, n)]
    ages = random.uniform(1, 60, n).tolist()
    return simulated(people, photos=2, seed=seed, metadata={"age": ages, "site": sites})


def judged(features: Features, options: Options, task: Any = "labels", **more: Any) -> CrossValidation:
    return cross_validate(features, options, task, baselines=False, keep_refits=True, **more)


def trained(features: Features, options: Options, task: Any = "labels", **more: Any) -> Trained:
    kept = judged(features, options, task, **more).refits
    return make_trained(features, options, task, ENCODER, SETTINGS, refits=kept)


# --------------------------------------------------------------------------------- they are the models


def by_two_encoders(features: Features) -> Features:
    """The regions as encoders see them of which one gives fewer numbers."""
    few = {f"{region}@two": of[:, : DIMENSION // 2] for region, of in features.regions.items()}
    return replace(features, regions={f"{region}@one": of for region, of in features.regions.items()} | few)


@pytest.mark.parametrize("kind", ["linear", "xgboost", "svm", "linear, two encoders"])
def test_a_refit_explains_as_the_model_that_it_was(kind: str) -> None:
    seen = by_two_encoders if "two" in kind else lambda features: features
    classifier: Any = kind.partition(",")[0]
    features, options = seen(cohort()), Options(classifier=classifier, metadata=("age", "site"))
    whole = fit_model(features, options)
    # nobody of a site is left: the refit's numbers are others than the model's
    left = np.arange(len(features)) % 5 != 0
    sites = np.array(features.metadata["site"], dtype=object)
    part = fit_model(subset(features, left & (sites != "arm")), options)
    assert isinstance(whole, LabelModel)
    assert isinstance(part, LabelModel)
    kept = part.kept()
    assert kept is not None
    (refit,) = whole.refitted([kept]).refits
    new = feature_frame(seen(cohort(seed=1)), options.metadata)
    one, other = part.classifier.contributions(new), refit.contributions(new)
    for name in ("regions", "measurements", "metadata"):
        known, found = getattr(one, name), getattr(other, name)
        assert list(known) == list(found)
        for column, values in known.items():
            # weights of regions are kept in half precision, which has 11 bits
            np.testing.assert_allclose(found[column], values, atol=2**-10 * max(1, np.abs(values).max()))
    np.testing.assert_allclose(other.total, one.total, atol=0.01)


def test_attributes_are_chained_as_in_the_refit() -> None:
    people = {"ptosis": 12, "thin lip": 12, "ptosis; thin lip": 11, "": 12}
    features = simulated(people, directions={"ptosis": 0, "thin lip": 1})
    options = Options(classifier="linear")
    model = trained(features, options, "attributes").model
    assert isinstance(model, AttributeModel)
    assert len(model.refits) == 15
    assert {one.labels for one in model.refits} == {("ptosis", "thin lip"), ("thin lip", "ptosis")}
    # as many have either: in another order the second one reads the answer about the first
    table = feature_frame(features)
    part = subset(features, features.labels != "ptosis")
    other = fit_model(subset(part, np.arange(5, len(part))), options, "attributes")
    assert isinstance(other, AttributeModel)
    kept = other.kept()
    assert kept is not None
    (refit,) = model.refitted([kept]).refits
    assert refit.labels == other.labels == ("thin lip", "ptosis")
    pairs = zip(other.classifiers, other.tables(table), refit.classifiers, refit.tables(table), strict=True)
    for one, columns, again, same in pairs:
        a, b = one.contributions(columns), again.contributions(same)
        assert list(a.metadata) == list(b.metadata)
        np.testing.assert_allclose(b.total, a.total, atol=0.02)
    trained_ = Trained(model, make_trained(features, options, "attributes", ENCODER, SETTINGS).manifest)
    for explained in explain_features(trained_, subset(features, [0]))[0].labels:
        for c in explained.contributions:
            assert len(c.refits) == 15
            if c.name.startswith("attribute "):  # which some refits do not read
                assert 0 in c.refits
                assert c.stable is False


def test_jobs_and_files_change_nothing(tmp_path: Path) -> None:
    features, options = cohort(), Options(metadata=("age",))
    paths = [tmp_path / name for name in ("one", "three", "again", "without")]
    for path, jobs in zip(paths, (1, 3), strict=False):
        trained(features, options, jobs=jobs).save(path)
    read = Trained.load(paths[0])
    read.save(paths[2])
    assert paths[0].read_bytes() == paths[1].read_bytes() == paths[2].read_bytes()
    new = subset(cohort(seed=1), [0, 1])
    made = trained(features, options)
    first, second = (explain_features(model, new)[0].labels[0] for model in (made, read))
    for one, other in zip(first.contributions, second.contributions, strict=True):
        assert one.name == other.name
        np.testing.assert_allclose(one.refits, other.refits, atol=1e-5)
    make_trained(features, options, "labels", ENCODER, SETTINGS).save(paths[3])
    numbers = 15 * 4 * (2 * 48 * 2 * 2 + DIMENSION * 4)  # of the regions, in bytes
    grown = paths[0].stat().st_size - paths[3].stat().st_size
    assert numbers < grown < numbers + 15 * 8000  # with a header and an entry of the manifest for each array


# ----------------------------------------------------------------------------------------- what is stable


def _noisy(n: int, seed: int) -> Features:
    """People of two labels who differ in the first two measurements, and in nothing else."""
    features = simulated({"control": n, "noonan": n}, strength=0)
    random = np.random.default_rng(seed)
    values = random.normal(size=(2 * n, len(IDS)))
    values[n:, :2] += 1.5
    return replace(features, measurements=values, measurement_ids=tuple(IDS))


def _stable(explained: Explained) -> dict[str, bool | None]:
    return {c.name: c.stable for c in explained.contributions}


def test_what_informs_is_stable_and_most_noise_is_not() -> None:
    options = Options(classifier="linear", parts=frozenset({"measurements"}))
    informing, noise = [], []
    for seed in range(4):
        model = trained(_noisy(20, seed), options)
        new = _noisy(10, 100 + seed)
        of = {name: at for at, name in enumerate(new.measurement_ids)}
        for at, explanation in enumerate(explain_features(model, new, ["noonan"])):
            stable = _stable(explanation.labels[0])
            # near the mean a person's contribution is near 0 whatever the weight
            far = {name: abs(new.measurements[at, of[name]] - 0.75) > 0.75 for name in IDS[:2]}
            informing += [stable[name] for name in IDS[:2] if far[name]]
            noise += [stable[name] for name in IDS[2:]]
        assert model.manifest.refits.number == 15
        assert model.manifest.refits.without == pytest.approx(0.2)
        assert 0.4 < (model.manifest.refits.overlap or 0) < 1  # two of five are sure, the others change
    assert None not in informing + noise
    assert np.mean(np.array(informing, dtype=bool)) > 0.95
    assert np.mean(np.array(noise, dtype=bool)) < 0.35


def test_stable_is_a_sign_and_a_quarter_of_the_size() -> None:
    for sign in (1, -1):
        assert is_stable(0.4 * sign, [0.1001 * sign, 0.5 * sign])
        assert is_stable(0.4 * sign, [0.0999 * sign, 0.5 * sign]) is False
        assert is_stable(0.4 * sign, [-0.2 * sign, 0.5 * sign]) is False
    assert is_stable(0.0, [0.1]) is False
    assert is_stable(0.0, [0.0, 0.0]) is None  # nobody uses it
    assert is_stable(0.4, []) is None
    assert range_of(0.4, []) is None
    assert range_of(0.4, [0.1, 0.2]) == (0.1, 0.4)  # the model's own value is within


def test_several_photos_and_a_stated_prevalence_keep_the_refits() -> None:
    model = trained(cohort(), Options(classifier="linear"))
    both = subset(cohort(seed=2), [0, 1])
    one, two = (explain_features(model, subset(both, [i]), ["noonan"])[0].labels[0] for i in (0, 1))
    mean = explain_features(model.at(0.1), both, ["noonan"])[0].labels[0]
    for c in mean.contributions:
        (a,), (b,) = ([x.refits for x in e.contributions if x.name == c.name] for e in (one, two))
        np.testing.assert_allclose(c.refits, (np.array(a) + b) / 2, atol=1e-9)


def test_the_order_of_people_and_photos_does_not_matter() -> None:
    model = trained(cohort(), Options(classifier="linear"))
    people = subset(cohort(seed=2), np.arange(8))
    order = np.random.default_rng(0).permutation(8)
    one = explain_features(model, people, ["noonan"])
    other = {e.prediction.patient: e for e in explain_features(model, subset(people, order), ["noonan"])}
    for explanation in one:
        again = other[explanation.prediction.patient]
        for a, b in zip(explanation.labels[0].contributions, again.labels[0].contributions, strict=True):
            assert a.name == b.name
            np.testing.assert_allclose(a.refits, b.refits, atol=1e-9)


# ------------------------------------------------------------------------------------ where there are none


def test_no_refits_no_ranges() -> None:
    features = cohort()
    for made in (
        make_trained(features, Options(classifier="linear"), "labels", ENCODER, SETTINGS),
        trained(features, Options(classifier="svm-rbf")),  # whose contributions are sampled
        make_trained(features, Options(controls="control"), "normality", ENCODER, SETTINGS),
    ):
        assert made.manifest.refits.number is None
        assert stability(made.manifest) is None
        for explained in explain_features(made, subset(features, [0]))[0].labels:
            assert {c.stable for c in explained.contributions} == {None}
            assert {c.range for c in explained.contributions} == {None}


def test_a_distance_is_not_kept() -> None:
    features, options = cohort({"control": 30, "noonan": 10}), Options(controls="control")
    assert judged(features, options, "normality").refits == ()
    made = make_trained(features, options, "normality", ENCODER, SETTINGS)
    assert isinstance(made.model, NormalityModel)


def test_matched_labels_and_none_of_these_have_no_range() -> None:
    model = trained(cohort({"control": 24, "noonan": 20, "rare": 4}), Options(classifier="linear"))
    new = subset(cohort(seed=3), [0])
    for explained in explain_features(model, new, ["control", "rare", "none of these"])[0].labels:
        assert {c.stable is None for c in explained.contributions} == {explained.how != "trained"}
        if explained.how == "trained":
            values = sum(c.log_odds for c in explained.contributions)
            assert explained.bias + explained.residual + values == pytest.approx(explained.log_odds, abs=1e-6)


def test_sites_are_no_refits() -> None:
    features = cohort()
    sites = ["one" if i % 2 else "two" for i in range(len(features) // 2) for _ in range(2)]
    assert judged(features, Options(classifier="linear"), leave_out=sites).refits == ()


def test_whole_dealings_as_a_file_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    one = KeptRefit(("a", "b"), {}, {"weights": np.zeros(100), "scale": np.zeros(4)})
    dealt = [[one] * 5, [one, None, one, one, one], [one] * 5]
    assert len(within_limits(dealt)) == 14
    monkeypatch.setattr(refits, "MOST_REFIT_NUMBERS", 10 * 104 - 1)
    assert len(within_limits(dealt)) == 9
    monkeypatch.setattr(refits, "_MOST_ARRAYS", 11)
    assert len(within_limits(dealt)) == 5
    monkeypatch.setattr(refits, "_MOST_ARRAYS", 9)
    assert within_limits(dealt) == []
    assert within_limits([[one] * 4]) == []  # too few to say anything


def test_a_model_without_one_of_the_labels_is_no_refit() -> None:
    features, options = cohort({"a": 12, "b": 12, "c": 12}), Options(classifier="linear", rare=())
    model = fit_model(features, options)
    lacking = fit_model(subset(features, features.labels != "c"), options)
    assert isinstance(model, LabelModel)
    assert isinstance(lacking, LabelModel)
    kept = lacking.kept()
    assert kept is not None
    assert model.refitted([kept]).refits == ()


def test_the_card_says_how_stable() -> None:
    model = trained(_noisy(20, 0), Options(classifier="linear", parts=frozenset({"measurements"})))
    said = stability(model.manifest)
    assert said is not None
    assert "in 15 refits, each without 20 % of the patients" in said
    assert f"Stability of explanations: {said}." in card(model.manifest)
    assert ("stability", said) in describe(model.manifest)


# ------------------------------------------------------------------------------- files that do not fit


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model with refits by trees."""
    path = tmp_path_factory.mktemp("sound") / "m.anthropo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured, "_ROUNDS", 20)
        patch.setattr(deep, "_FREQUENCIES", 48)
        trained(cohort(), Options(classifier="xgboost", metadata=("age",))).save(path)
    return read_bundle(path)


def array(name: str, change: Callable[[Any], Any]) -> Change:
    return lambda m, a: a.update({f"refits/0/{name}": change(a[f"refits/0/{name}"])})


def of(**entries: Any) -> Change:
    return lambda m, a: m["model"]["refits"][0].update(entries)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, a: a.pop("refits/3/weights"), "array weights is missing"),
        (array("weights", lambda w: w[:-1]), "is missing or of another shape than (r 2f k): 3 where 4"),
        (array("weights", lambda w: w[:, :-2]), "another shape than (r 2f k): 94 where 96 are needed"),
        (array("weights", lambda w: np.concatenate([w, w], 2)), "4 where 2 are needed"),
        (array("weights", lambda w: w > 0), "array weights holds bool"),
        (array("centres", lambda c: c[:, :-1]), "another shape than (r d): 11 where 12 are needed"),
        (array("scale", lambda s: 0 * s), "array scale holds a number that is not"),
        (array("scale", lambda s: s.reshape(2, 2)), "array scale is missing or of another shape"),
        (array("spread", lambda s: -s), "array spread holds a number that is not"),
        (array("slopes", lambda s: s[:1]), "another shape than (h): 1 where 2 are needed"),
        (array("loadings", lambda s: np.zeros((len(s), 65))), "array loadings has an impossible length (65)"),
        (array("trees/gain", lambda s: np.zeros(1 << 22, s.dtype)), "numbers, and 4,194,304 is the most"),
        (array("trees/left", lambda s: s + 1), "the trees in the model cannot be used"),
        (array("trees/feature", lambda s: s + 99), "the trees in the model cannot be used"),
        (array("trees/base_score", lambda s: np.repeat(s, 3)), "the trees in the model cannot be used"),
        (of(measured="kernelmachine"), "measured is 'kernelmachine', not trees, machine or none"),
        (of(measured="machine"), "array machine is missing"),
        (of(measured="none"), "a refit reads other columns than its model"),
        (of(origin=["nasal_index"] * 5), "a refit reads other columns than its model"),
        (of(origin=["meta:age"]), "a refit reads other columns than its model"),
        (of(category=["x"] * 5), "a measurement of a refit is a category"),
        (lambda m, a: m["model"].update(refits=m["model"]["refits"] * 7), "has 105 entries, not 0 to 100"),
        (lambda m, a: m["model"].update(refits=[*m["model"]["refits"], {}]), "measured is missing"),
        (lambda m, a: m["model"].update(refits={}), "refits is not a list"),
    ],
)  # fmt: skip
def test_a_refit_that_does_not_fit_is_refused(
    sound: Bundle, tmp_path: Path, change: Change, message: str
) -> None:
    manifest, arrays = copy.deepcopy(sound.manifest), dict(sound.arrays)
    change(manifest, arrays)
    path = tmp_path / "m.anthropo"
    write_bundle(path, Bundle(manifest, arrays))
    said = []
    for use in (Trained.load, inspect):
        with pytest.raises(ModelError) as caught:
            use(path)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert message in said[0]
    assert "\n" not in said[0]


def test_refits_of_attributes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    people = {"ptosis": 12, "thin lip": 12, "ptosis; thin lip": 12, "": 12}
    features = simulated(people, directions={"ptosis": 0, "thin lip": 1})
    path = tmp_path / "m.anthropo"
    trained(features, Options(classifier="linear"), "attributes").save(path)
    bundle = read_bundle(path)
    assert len(bundle.manifest["model"]["refits"]) == 15
    Trained.load(path)
    for labels, message in (
        (["ptosis"], "a refit has not one classifier for each of its attributes"),
        (["ptosis", "elbow"], "a refit has not one classifier for each of its attributes"),
        (["ptosis", "ptosis"], "has 'ptosis' twice"),
        ([], "has 0 entries, not 1 to 5,000"),
    ):
        manifest = copy.deepcopy(bundle.manifest)
        manifest["model"]["refits"][0]["labels"] = labels
        write_bundle(path, Bundle(manifest, bundle.arrays))
        with pytest.raises(ModelError, match=message):
            Trained.load(path)
