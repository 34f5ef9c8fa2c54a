"""Schemas of what models answer, why, and how good they are."""

from __future__ import annotations

from typing import Any

from anthropo.explanation.contributions import Contribution, Explained
from anthropo.explanation.maps import Faithfulness, Heatmap
from anthropo.explanation.standing import Standing
from anthropo.learning.adjusting import Adjusted
from anthropo.learning.attributes import Relation
from anthropo.learning.evaluation import Evaluation, LabelCount
from anthropo.learning.heterogeneity import PooledOverSites
from anthropo.learning.manifest import Manifest
from anthropo.learning.matching import ColumnBalance, Matched
from anthropo.learning.model import Prediction, Ranked
from anthropo.learning.nearest import Nearest, Ranks
from anthropo.learning.relations import FaceRelation
from anthropo.learning.shift import Shift
from anthropo.learning.sites import Sites
from anthropo.learning.subgroups import Subgroup
from anthropo.report.meanings import meanings
from anthropo.report.schemas.building import (
    COUNT,
    LEFT_OUT,
    NUMBER,
    SHA256,
    SHARE,
    TEXT,
    TRUTH,
    Fields,
    Schema,
    Schemas,
    by_name,
    column,
    described,
    entries,
    listed,
    one_of,
    or_null,
)
from anthropo.report.schemas.measured import VERSION, gate, values
from anthropo.workflows.attributes import AttributeRow

_LABEL = described(TEXT, "The label.")
_PROBABILITY = described(SHARE, "Its probability, 0 to 1.")
_LOG_ODDS = "Log-odds (nats) against all other labels together"
_SHARES: Fields = {
    "shares": described(by_name(SHARE), "How common each label is where the probabilities hold."),
    "shares_from": described(one_of("training", "stated"), "Where that is from."),
}
_CALIBRATED = described({"const": False}, "A network's probabilities are not calibrated.")
_OK = described({"const": "ok"}, "There is an answer.")
_TASK = described(
    TEXT, "binary, multiclass, one-vs-rest, multilabel or normality; of networks also grades and cases."
)


def _asked() -> Fields:
    return {
        "patient": described(or_null(TEXT), "The patient, where the table names one."),
        "photos": described(listed(TEXT), "Photos of the answer."),
        "anthropo": VERSION,
        "task": _TASK,
    }


def _answer(
    made: Schemas, name: str, description: str, fields: Fields, optional: tuple[str, ...] = ()
) -> Schema:
    return made.define(name, entries({**_asked(), **fields}, optional), description)


def answers() -> Schema:
    """What ``classify -o FILE.json`` writes."""
    made = Schemas()
    reason = described(or_null(TEXT), "Why the answer is for none of these; null of other answers.")
    decision = described(TEXT, meanings(Prediction)["decision"])
    typicality = described(or_null(SHARE), meanings(Prediction)["typicality"])
    ok = {"status": _OK, "reason": reason, "decision": decision}
    similarity = described(or_null(NUMBER), meanings(Ranked)["similarity"])
    ranked = entries(
        {
            "label": _LABEL,
            "probability": _PROBABILITY,
            "log_odds": described(
                or_null(NUMBER), f"{_LOG_ODDS}; null: a distance, which has no probability."
            ),
            "kind": described(
                one_of("trained", "matched"), "Whether the model was trained on it, or only matches it."
            ),
            "similarity": similarity,
            "in_set": described(TRUTH, "Whether the label is in the prediction set."),
        }
    )
    ranked = made.define("Ranked", ranked, "A label of an answer.")
    labels = {
        **ok,
        "set": described(listed(TEXT), "The prediction set: labels that cannot be excluded."),
        "typicality": typicality,
        **_SHARES,
        "ranked": described(listed(ranked), "The labels, most probable first."),
    }
    distance = described(
        or_null(NUMBER), "Distance to the healthy people that the model was trained on, 0 to 1."
    )
    likeness = made.define(
        "RankedByNetwork",
        entries(
            {"label": _LABEL, "probability": _PROBABILITY, "log_odds": described(NUMBER, f"{_LOG_ODDS}.")}
        ),
        "A label of a network's answer.",
    )
    network = {
        "status": _OK,
        "decision": decision,
        "ranked": described(listed(likeness), "The labels, most probable first."),
    }
    of_network = {"network": described(TEXT, "The recipe that it was trained by."), "calibrated": _CALIBRATED}
    failed = {
        "status": described({"const": "failed"}, "There is no answer."),
        "reason": described(TEXT, "Why there is no answer."),
    }
    kinds = [
        _answer(made, "Answer", "A model's answer.", labels, tuple(_SHARES)),
        _answer(
            made,
            "Distance",
            "The answer of a model of distance to normal.",
            {**ok, "typicality": typicality, "distance": distance},
        ),
        _answer(made, "NetworkAnswer", "A network's answer.", {**network, **of_network}),
        _answer(
            made, "Failed", "A photo that could not be used.", {**failed, **of_network}, tuple(of_network)
        ),
    ]
    return made.whole(listed({"oneOf": kinds}))


# ---------------------------------------------------------------------------------------- explanation


def _contribution(made: Schemas) -> Schema:
    people = made.record(
        Standing, words={"p50": "Half of them measure less.", "p95": "95 % of them measure less."}
    )
    told = meanings(Contribution)
    number = or_null(NUMBER)
    measured: Fields = {
        "value": described(
            number, "The person's value, in `unit`; of measurements only, as all that follow."
        ),
        "lo": described(number, "Lower end of its 95 % interval of accuracy."),
        "hi": described(number, "Upper end of the same."),
        "unit": described(TEXT, "Unit of the value."),
        "reason": described(TEXT, "Why there is no value; else empty."),
        "z_training": described(
            number, "How many standard deviations off the mean of the training controls."
        ),
        "people": described(by_name(people), "Where the value stands among the people of each label."),
    }
    made_of: Fields = {
        "kind": described(made.of(_hint(Contribution, "kind")), "What it is of."),
        "name": described(TEXT, told["name"]),
        "log_odds": described(NUMBER, told["log_odds"]),
        "log_odds_lo": described(number, "The lowest over the refits of the model; null without refits."),
        "log_odds_hi": described(number, "The highest."),
        "stable": described(
            or_null(TRUTH),
            "Whether every refit has the same sign and a quarter of the size or more; null without.",
        ),
    }
    return made.define(
        "Contribution", entries({**made_of, **measured}, measured), "A term of a label's log-odds."
    )


def _hint(kind: type[Any], name: str) -> Any:
    from typing import get_type_hints

    return get_type_hints(kind, include_extras=True)[name]


def _faithfulness() -> Fields:
    told = meanings(Faithfulness)
    return {
        name: described(or_null(NUMBER), f"{text[0].upper()}{text[1:]}; log-odds.")
        for name, text in told.items()
        if name not in ("passes", "reason", "sanity_correlation")
    } | {"sanity_correlation": described(or_null(NUMBER), told["sanity_correlation"])}


def _explained(made: Schemas, contribution: Schema) -> Schema:
    told = meanings(Explained)
    return entries(
        {
            "label": _LABEL,
            "probability": described(or_null(SHARE), told["probability"]),
            "log_odds": described(NUMBER, "Log-odds (nats): bias, residual and contributions added up."),
            "bias": described(NUMBER, "What the sum begins with, `prevalence_shift` and `limit` included."),
            "residual": described(NUMBER, told["residual"]),
            "how": described(made.of(_hint(Explained, "how")), "How the label is known."),
            "prevalence_shift": described(NUMBER, told["shift"]),
            "limit": described(NUMBER, told["limit"]),
            "against": described(by_name(NUMBER), told["against"]),
            "contributions": described(listed(contribution), told["contributions"]),
        }
    )


def _heat_of_model(made: Schemas) -> Schema:
    faithful = _faithfulness()
    told = meanings(Heatmap)
    heat = entries(
        {
            "log_odds": described(NUMBER, "The contribution that the map distributes, log-odds."),
            "baseline": described(NUMBER, f"The same {told['baseline']}."),
            "not_accounted_for": described(
                NUMBER,
                "Log-odds that the map leaves over: the contribution less the baseline and the map's sum.",
            ),
            **faithful,
            "faithful": described(TRUTH, "Whether the map passes its tests."),
            "reason": described(or_null(TEXT), "Why it does not."),
        },
        [*faithful, "faithful", "reason"],
    )
    return made.define("Heatmap", heat, "Figures of a heatmap; the tests are there where the map was tested.")


def _heatmaps(heat: Schema) -> Schema:
    figures = {
        "label": described(TEXT, "The label that the heatmaps are of."),
        "regions": described(by_name(heat), "By region."),
        "whole": described(heat, "All regions together."),
    }
    return described(or_null(entries(figures)), "Figures of the heatmaps; null: there are none.")


def _trait() -> Schema:
    return entries(
        {
            "id": described({**TEXT, "pattern": "^HP:[0-9]{7}$"}, "The HPO term."),
            "label": described(TEXT, "Its name."),
            "side": column("traits", "side", TEXT),
            "status": column("traits", "status", TEXT),
            "measurements": described(listed(TEXT), "Ids of the measurements that it is called by."),
            "reason": described(or_null(TEXT), "Why it is not called, or what weakens it."),
        }
    )


def _change() -> Schema:
    return entries(
        {
            "measurement": described(TEXT, "Id of the measurement."),
            "value": described(NUMBER, "The person's value."),
            "needed": described(NUMBER, "The nearest value with which the decision would be another."),
            "unit": described(or_null(TEXT), "Unit of both."),
            "standard_deviations": described(
                NUMBER, "How far that is, in standard deviations of the training people."
            ),
            "decision": described(TEXT, "The decision then."),
        }
    )


def explanation() -> Schema:
    """What ``explain -o FILE.json`` writes of a model's answer."""
    made = Schemas()
    contribution = _contribution(made)
    label = _explained(made, contribution)
    heat = _heat_of_model(made)
    ranked = made.record(
        Ranked,
        changed={"probability": _PROBABILITY, "label": _LABEL},
        words={"in_set": "Whether the label is in the prediction set."},
    )
    match = entries(
        {"label": _LABEL, "cosine": described(NUMBER, "Cosine with the label's nearest patient.")}
    )
    value = values(made)
    document: Fields = {
        "photo": described(or_null(TEXT), "The photo that is shown; null when anonymous."),
        "photos": described(listed(TEXT), "Photos of the answer; none when anonymous."),
        "n_photos": described(COUNT, "How many photos the answer is of."),
        "sha256": described(or_null(SHA256), "SHA-256 of the photo; null when anonymous."),
        "moved": described(
            or_null(by_name(NUMBER)), "Landmarks that were placed by hand, and how far each, pixels."
        ),
        "left_out": described(listed(TEXT), "Photos that could not be used, and why; none when anonymous."),
        "voided": described(
            or_null(TEXT), "Why the photo is not judged: what the photo gate found; else null."
        ),
        "decision": described(
            or_null(TEXT), f"{meanings(Prediction)['decision']}; null of a photo that is voided."
        ),
        "reason": described(
            or_null(TEXT), "Why it was decided for none of these, or why the photo is voided."
        ),
        "set": described(listed(TEXT), "The prediction set: labels that cannot be excluded."),
        "typicality": described(or_null(SHARE), meanings(Prediction)["typicality"]),
        "ranked": described(listed(ranked), "The labels, most probable first."),
        **_SHARES,
        "labels": described(
            listed(made.define("Label", label, "One label's sum.")), "The labels that are explained."
        ),
        "changes": described(
            listed(made.define("Change", _change(), "What would change the decision.")),
            "Measurements that would change the decision by themselves.",
        ),
        "heatmaps": _heatmaps(heat),
        "heatmap_reason": described(or_null(TEXT), "Why there are none."),
        "traits": described(
            listed(made.define("Trait", _trait(), "A trait of the person.")), "HPO terms of the person."
        ),
        "matches": described(
            listed(made.define("Match", match, "A matched label.")), "Nearest patients of matched labels."
        ),
        "age_basis": column("measure", "age_basis", TEXT),
        "measurements": described(
            or_null(by_name(value)), "Values by the id of the measurement, see the atlas."
        ),
        "gate": described(or_null(gate(made)), "Checks of the photo gate by name."),
        "pose": described(
            or_null(entries({a: column("measure", a, NUMBER) for a in ("yaw", "pitch", "roll")})),
            "How the head is turned, degrees.",
        ),
        "notes": described(listed(TEXT), "What the reader should know of the photo."),
        "diagnostics": described(
            by_name({}), "What the photo was measured with, as `diagnostics` of a measured photo."
        ),
        "model": _model(made),
        "anthropo": VERSION,
    }
    return made.whole(entries(document, _SHARES))


def _model(made: Schemas) -> Schema:
    """What an explanation says of the model: entries of its manifest."""
    told = meanings(Manifest) | {
        "regions": "Regions that the model reads.",
        "anthropo": "The version of anthropo that trained it.",
        "cohort": "The training cohort in counts, as in the manifest of a model file.",
        "encoder": "The encoder whose embeddings it reads, as in the manifest of a model file.",
        "refits": "The models fitted without some of the patients, as in the manifest of a model file.",
    }
    free = by_name({})
    kinds: Fields = {
        "task": or_null(TEXT),
        "labels": listed(TEXT),
        "classifier": or_null(TEXT),
        "encoder": free,
        "more_encoders": listed(free),
        "regions": listed(TEXT),
        "anthropo": or_null(TEXT),
        "cohort": free,
        "command": or_null(TEXT),
        "refits": free,
    }
    return described(
        entries({name: described(kind, told[name]) for name, kind in kinds.items()}),
        "The model, from its manifest.",
    )


def network_explanation() -> Schema:
    """What ``explain -o FILE.json`` writes of a network's answer."""
    made = Schemas()
    faithful = _faithfulness()
    tests = entries(
        {
            **faithful,
            "passes": described(TRUTH, "Whether the map passes its tests."),
            "reason": described(TEXT, "Why it does not."),
        }
    )
    heat = entries(
        {
            "log_odds": described(NUMBER, "What the map distributes, log-odds."),
            "baseline": described(NUMBER, "The same of a picture without content."),
            "completeness": described(
                NUMBER,
                "Log-odds that the map leaves over: the contribution less the baseline and the map's sum.",
            ),
            "faithfulness": described(
                or_null(made.define("Faithfulness", tests, "Tests of the map.")),
                "Tests of whether the map shows what the network looks at; null: not tested.",
            ),
        }
    )
    ranked = entries(
        {"label": _LABEL, "probability": _PROBABILITY, "log_odds": described(NUMBER, f"{_LOG_ODDS}.")}
    )
    document: Fields = {
        "photos": described(listed(TEXT), "Photos of the answer."),
        "network": described(TEXT, "The recipe that the network was trained by."),
        "decision": described(TEXT, "The network's answer."),
        "calibrated": _CALIBRATED,
        "ranked": described(listed(ranked), "The labels, most probable first."),
        "heatmaps_of": described(TEXT, "The label that the heatmaps are of."),
        "heatmaps": described(
            by_name(made.define("Heatmap", heat, "Figures of a heatmap.")),
            "By region; `whole` is of all together.",
        ),
        "anthropo": VERSION,
    }
    return made.whole(entries(document))


# ----------------------------------------------------------------------------------------- evaluation


def _sites(made: Schemas) -> Schema:
    made.record(
        PooledOverSites,
        missing=True,
        words={
            "hi": "Upper end of the same.",
            "new_hi": "Upper end of the same.",
            "reason": "Why it cannot be computed; else empty.",
        },
    )
    return made.record(
        Sites,
        words={
            "column": "The column that names the site.",
            "figures": "Figures by site.",
            "pooled": "Over the sites, by metric.",
        },
    )


def _matched(made: Schemas) -> Schema:
    words = {
        "column": "The column that groups are compared in.",
        "word": "The word in the column; empty for numbers.",
        "before": "Standardised mean difference before matching.",
        "controls": "The same of all controls.",
        "after": "The same after matching.",
        "matched_cases": "Of cases with a partner.",
        "matched_controls": "Of controls with a partner.",
    }
    made.record(ColumnBalance, words=words, missing=True)
    return made.record(
        Matched,
        words={
            "columns": "Columns in which partners are alike.",
            "pairs": "Pairs of a case and a control.",
            "controls_left": "Controls without a partner, who are left out.",
            "balance": "The groups before and after, column by column.",
            "controls": "Label of the controls.",
        },
    )


def _adjusted(made: Schemas) -> Schema:
    return made.record(
        Adjusted,
        words={
            "columns": "Columns in which people are alike.",
            "strata": "Strata in all.",
            "used": "Strata that have people of both sides.",
            "patients": "Patients in strata that have people of both sides.",
            "missing": "Photos without a value in one of the columns.",
            "models": "AUROC by model.",
            "p": "Of the main model's AUROC, by permutation within strata; null: not asked for.",
        },
    )


def _shift(made: Schemas) -> Schema:
    return made.record(
        Shift,
        words={
            "site": "The site, or target.",
            "method": "How photos were adapted; none: as they are.",
            "embeddings": "Distance by embeddings; 0: nothing tells them apart; 2: everybody is told.",
            "measurements": "The same by measurements.",
        },
    )


def _nearest(made: Schemas) -> Schema:
    made.record(
        Ranks,
        words={
            "labels": "Labels in the gallery.",
            "patients": "Patients in the gallery; of a cohort with the one who is asked about.",
            "figures": "Figures by metric: top_1, top_5 … as far as there are more labels than that.",
            "chance": "The same if the order were drawn at random.",
        },
    )
    return made.record(
        Nearest,
        words={
            "asked": "Patients who were asked about.",
            "labels": "Labels of these patients.",
            "galleries": "Figures by gallery: of the matched labels alone, and of all.",
            "by_model": "Whether the gallery is that of a trained model, and not the cohort's own patients.",
        },
    )


def _one_evaluation(made: Schemas) -> Schema:
    figures = made.figures()
    made.record(LabelCount, words={"photos": "Photos of the label.", "patients": "Patients of the label."})
    by_metric = {"metrics": described(figures, "Figures by metric.")}
    sizes = {"n_photos": "Photos of this part.", "n_patients": "Patients of this part."}
    made.record(Subgroup, changed=by_metric, words=sizes)
    sites, matched, adjusted = _sites(made), _matched(made), _adjusted(made)
    shift, nearest = _shift(made), _nearest(made)
    changed: Fields = {
        name: described(by_name(figures), meanings(Evaluation)[name])
        for name in ("models", "differences", "by_label", "adapted", "encoders")
    }
    changed["subgroups"] = described(
        by_name(by_name({"$ref": "#/$defs/Subgroup"})), meanings(Evaluation)["subgroups"]
    )
    changed["left_out"] = LEFT_OUT
    changed["settings"] = described(by_name({}), "How the evaluation was made, as name and value.")
    changed["counts"] = described(by_name({"$ref": "#/$defs/LabelCount"}), meanings(Evaluation)["counts"])
    changed["confusion"] = described(listed(listed(COUNT)), meanings(Evaluation)["confusion"])
    changed |= {
        "sites": described(sites, meanings(Evaluation)["sites"]),
        "matched": described(matched, meanings(Evaluation)["matched"]),
        "adjusted": described(adjusted, meanings(Evaluation)["adjusted"]),
        "shifts": described(listed(shift), meanings(Evaluation)["shifts"]),
        "nearest": described(nearest, meanings(Evaluation)["nearest"]),
    }
    more: Fields = {
        "definitions": described(by_name(TEXT), "What each metric is, in a sentence, by its name."),
        "anthropo": VERSION,
    }
    return made.record(
        Evaluation,
        changed=changed,
        more=more,
        without=("attribute", "judged"),
        optional=("sites", "matched", "adjusted", "adapted", "shifts", "nearest", "encoders"),
        missing=True,
    )


def evaluation() -> Schema:
    """What ``evaluate -o FILE.json`` writes."""
    made = Schemas(imported={"Shift": Shift})
    one = _one_evaluation(made)
    several = entries(
        {"attributes": described(by_name(one), "An evaluation for each attribute, by its name.")}
    )
    return {"oneOf": [one, several], "$defs": made.definitions}


def attributes() -> Schema:
    """What ``evaluate --compare attributes -o FILE.json`` writes."""
    made = Schemas()
    relation = made.record(
        Relation,
        words={
            "first": "One attribute.",
            "second": "The other attribute.",
            "lo": "Lower end of its 95 % interval.",
            "hi": "Upper end of the same.",
        },
    )
    assert relation
    words = {"labels": "The relation in the labels alone.", "people": "Patients that it is of."}
    pair = made.record(
        FaceRelation,
        words=words,
        missing=True,
        more={"meaning": described(TEXT, "What the three figures say together.")},
    )
    row = made.record(AttributeRow, words={"attribute": "The attribute, or mean."})
    document: Fields = {
        "photos": described(COUNT, "Photos of the cohort."),
        "patients": described(COUNT, "Patients of the cohort."),
        "patients_with": described(by_name(COUNT), "Patients with each attribute."),
        "attributes": described(listed(row), "Each attribute, and last their mean."),
        "relations": described(listed(pair), "All pairs of attributes, the surest first."),
    }
    return made.whole(entries(document))
