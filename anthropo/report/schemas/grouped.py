"""Schemas of groups of people, networks, landmark models, and of runs."""

from __future__ import annotations

from dataclasses import fields

from anthropo.groups.places import DifferingPlace
from anthropo.groups.regions import Discovery, Effect
from anthropo.networks.description import Epoch
from anthropo.report import heat
from anthropo.report.composite import UNIT
from anthropo.report.meanings import meanings
from anthropo.report.schemas.building import (
    COUNT,
    INTEGER,
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
    columns,
    described,
    entries,
    listed,
    or_null,
)
from anthropo.report.schemas.measured import VERSION
from anthropo.translation.checkpoints import TranslationEpoch
from anthropo.workflows.composites import CompositeRequest
from anthropo.workflows.installation import Part
from anthropo.workflows.landmarks import LandmarkEvaluation
from anthropo.workflows.manifest import SCHEMA, RunManifest


def regions() -> Schema:
    """What ``regions -o FILE.json`` writes."""
    made = Schemas()
    words = {
        "kind": "What the number is of.",
        "n_others": "The same of the others.",
        "mean_others": "The same of the others.",
        "lo": "Lower end of the interval of g at `level`; null: not bounded.",
        "hi": "Upper end of the same.",
    }
    effect = made.record(Effect, words={**meanings(Effect), **words}, missing=True)
    words = {
        "where": "The landmark that its strongest point is nearest to.",
        "share": "Its share of the map's square.",
        "p": "The smallest p within it.",
    }
    place = made.record(DifferingPlace, words=words)
    square = listed(listed(NUMBER))
    maps: Fields = {
        "unit": described({"const": heat.UNIT}, "Unit of `difference`."),
        "permutations": described(COUNT, "Permutations of people that p is found by."),
        "smallest_p": described(SHARE, "The smallest p of all places."),
        "places": described(listed(place), "Where the maps differ, strongest first."),
        "difference": described(
            square, "Mean heatmap of the label's people less that of the others, by row and column."
        ),
        "p": described(square, "Of the difference, for all places together, by row and column."),
    }
    told = meanings(Discovery)
    document: Fields = {
        "anthropo": VERSION,
        "label": described(TEXT, "The label that is set against the others."),
        "patients": described(COUNT, "Its patients."),
        "patients_others": described(COUNT, "Patients of the others."),
        "auroc_of_regions": described(SHARE, f"AUROC {told['auroc']}."),
        "folds": described(COUNT, "Folds of the cross-validation."),
        **{
            name: described(listed(effect), f"Effects of {name}, {told[name]}.")
            for name in ("regions", "measurements", "metadata")
        },
        "maps": described(made.define("Maps", entries(maps), "Heatmaps of both groups."), "Heatmaps."),
        "settings": described(by_name({}), "How it was made, as name and value."),
        "left_out": LEFT_OUT,
    }
    return made.whole(entries(document))


def composites() -> Schema:
    """The summary ``composites.json`` of ``composite -o FOLDER``."""
    told = meanings(CompositeRequest)
    moved: Fields = {
        "displacement": described(
            TEXT, "The map of displacement from the controls; not of these, as what follows."
        ),
        "largest": described(
            NUMBER, "How far the farthest landmark lies from that of the controls, in `unit`."
        ),
        "significant_landmarks": described(COUNT, "Landmarks that differ, adjusted p below 0.05, of 68."),
    }
    label: Fields = {
        "label": described(TEXT, "The label."),
        "patients": described(COUNT, "Its patients."),
        "photos": described(COUNT, "Their photos."),
        "picture": described(TEXT, "The composite, a file in the folder."),
        **moved,
    }
    document: Fields = {
        "anthropo": VERSION,
        "note": described(TEXT, "What the pictures are for."),
        "unit": described({"const": UNIT}, "Unit of all distances."),
        "cohort": described(TEXT, "Name of the table or folder."),
        "size": described(COUNT, told["size"]),
        "common_shape": described(TRUTH, told["common_shape"]),
        "sharp": described(TRUTH, told["sharp"]),
        "min_patients": described(COUNT, told["min_patients"]),
        "seed": described(INTEGER, told["seed"]),
        "permutations": described(COUNT, "Permutations of people that p is found by."),
        "controls": described(or_null(TEXT), "Label of the controls; null: there are none."),
        "photos_left_out": described(COUNT, "Photos that could not be used."),
        "refused": described(listed(TEXT), "Labels without a composite, which have too few patients."),
        "labels": described(listed(entries(label, moved)), "The composites."),
    }
    return entries(document)


# ------------------------------------------------------------------------------------------ networks

_COUNTS = ("parameters", "file_bytes")


def bench() -> Schema:
    """What ``bench -o FILE.json`` writes."""
    return listed(entries(columns("bench", dict.fromkeys(_COUNTS, COUNT))))


def compared_networks() -> Schema:
    """What ``compare-networks -o FILE.json`` writes."""
    made = columns("compare-networks", dict.fromkeys(_COUNTS, COUNT))
    sometimes = [name for name in made if name.startswith(("top_3", "quadratic_kappa", "off_by_one"))]
    return listed(entries(made, [*sometimes, *(n for n in made if n.startswith("balanced_accuracy"))]))


def finetune_history() -> Schema:
    """The file ``NET.history.json`` that ``finetune`` writes beside a network."""
    made = Schemas()
    words = {
        "stage": "The stage of the training.",
        "loss": "Loss on the training patients; null: not finite.",
    }
    epoch = made.record(Epoch, words={**meanings(Epoch), **words})
    document = {
        "metric": described(TEXT, "The metric that the best epoch is chosen by."),
        "views": described(by_name(listed(epoch)), "Every epoch, by view."),
    }
    return made.whole(entries(document))


def translation_history() -> Schema:
    """The file ``AB.history.json`` that ``translate train`` writes beside a translation."""
    made = Schemas()
    words = {
        "stage": "The stage of the training; losses of other stages are left out.",
        "landmarks": "Loss of the landmark network, outer-canthal distances.",
        "held_out": "Its mean error on people who are kept apart, outer-canthal distances.",
        "adversarial": "Loss of the generators against the discriminators.",
        "discriminator": "Loss of the discriminators.",
        "cycle": "Difference of a picture that was brought to the other domain and back.",
        "identity": "Difference of a picture that was brought to its own domain.",
    }
    losses = [one.name for one in fields(TranslationEpoch) if one.name not in ("stage", "epoch")]
    epoch = made.record(TranslationEpoch, words=words, optional=losses)
    return made.whole(entries({"epochs": described(listed(epoch), "Every epoch.")}))


# ----------------------------------------------------------------------------- landmark models and runs


def landmark_errors() -> Schema:
    """What ``landmarks evaluate -o FILE.json`` writes."""
    number = or_null(NUMBER)
    point: Fields = {
        "point": described(TEXT, "Name of the point."),
        "faces": described(COUNT, "Faces that it is annotated in."),
        "error": described(
            number, "Mean distance from the annotation, in `unit`; likewise all lengths here."
        ),
        "error_median": described(number, "Median distance."),
        "error_95": described(number, "95th percentile of the distance."),
        "bias_x": described(number, "Mean of placed less annotated, to the right."),
        "bias_y": described(number, "The same, down."),
        "spread": described(number, "Mean standard deviation that the model states."),
        "coverage": described(
            or_null(SHARE), "Share of coordinates within 1.96 stated standard deviations; 0.95 is right."
        ),
    }
    more: Fields = {
        "error_both": described(number, "Mean distance by both landmark stages."),
        "error_both_packaged": described(number, "The same of the packaged model."),
        **{
            f"{name}_packaged": described(number, f"`{name}` of the packaged model.")
            for name in ("error", "error_median", "error_95", "spread")
        },
    }
    told = meanings(LandmarkEvaluation)
    document: Fields = {
        "unit": described(TEXT, "Unit of all lengths."),
        "faces": described(COUNT, "Faces that are annotated."),
        "undetected": described(COUNT, "Faces of these that were not found."),
        "error": described(NUMBER, "Mean distance over all points and faces."),
        "error_packaged": described(number, f"{told['packaged']}"),
        "error_both_stages": described(number, f"{told['both']}"),
        "points": described(listed(entries({**point, **more}, more)), "Each point."),
    }
    return entries(document)


def installation() -> Schema:
    """What ``doctor --json`` prints."""
    made = Schemas()
    words = {
        "section": "What it belongs to.",
        "name": "What was looked at.",
        "fix": "What to do where it does not work; else empty.",
        "state": "Whether it works: absent is an extra that is not installed.",
        "found": "What was found.",
    }
    part = made.record(Part, words={**meanings(Part), **words})
    document: Fields = {
        "anthropo": VERSION,
        "whole": described(TRUTH, "Whether everything works that anthropo needs without extras."),
        "seconds": described(NUMBER, "Seconds that it took to look."),
        "parts": described(listed(part), "Every part that was looked at."),
    }
    return made.whole(entries(document))


def run() -> Schema:
    """The manifest ``OUTPUT.run.json`` beside every output, which ``verify`` reads."""
    made = Schemas()
    told = meanings(RunManifest)
    hashes = by_name(SHA256)
    schema = made.record(
        RunManifest,
        changed={
            "schema": described({"const": SCHEMA}, told["schema"]),
            "outputs": described(hashes, told["outputs"]),
            "inputs": described(by_name(TEXT), told["inputs"]),
            "settings": described(by_name({}), told["settings"]),
        },
    )
    return made.whole(schema)
