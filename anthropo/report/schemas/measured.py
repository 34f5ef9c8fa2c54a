"""Schemas of what is measured: photos, people, landmark files, and what changed in a person."""

from __future__ import annotations

from dataclasses import fields

from anthropo.batch.records import Diagnostics, FacePlace, Record, VideoSummary
from anthropo.face.gate import Check
from anthropo.measurement import landmark_file
from anthropo.measurement.compute import Measurement
from anthropo.measurement.pooling import Pooled
from anthropo.measurement.scale import Scale
from anthropo.reference.zscore import Chance, ZScore
from anthropo.report.meanings import meanings
from anthropo.report.schemas.building import (
    COUNT,
    INTEGER,
    NUMBER,
    SHA256,
    TEXT,
    TRUTH,
    Fields,
    Schema,
    Schemas,
    by_name,
    column,
    columns,
    described,
    entries,
    listed,
    one_of,
    or_null,
)

VERSION: Schema = described(TEXT, "The version of anthropo that wrote the file.")
_POINT: Schema = listed(NUMBER, 2, 2)
_STATUS = one_of("ok", "failed")
_NAMES = ("reference", "grade", "z", "n", "reason", "interval", "reference_sd", "ancestry", "unit")


def values(made: Schemas) -> Schema:
    """The object of one measured value with its z-scores."""
    z = meanings(ZScore)
    z |= {
        "interval": "Which error of the value it holds: repeatability or accuracy; empty without a row.",
        "ancestry": "The reference's group, unknown where all are mixed; empty: it has none.",
        "reference": "Name of the reference.",
        "grade": "Grade of the reference's row; empty without one.",
        "n": "People in the reference's row; 0 without one.",
        "unit": "Unit of the value that was scored; empty without a row.",
        "z": "The z-score; null: it cannot be computed, and `reason` says why.",
        "lo": f"Lower end of its {z['z_lo']}.",
        "hi": "Upper end of the same.",
    }
    numbers = {**dict.fromkeys(("z", "lo", "hi", "reference_sd"), or_null(NUMBER)), "n": COUNT}
    order = ("reference", "grade", "z", "lo", "hi", *_NAMES[3:])
    score = {name: described(numbers.get(name, TEXT), z[name]) for name in order}
    made.define("ZScore", entries(score), "A measurement under one reference.")

    told = {**meanings(Measurement), **meanings(Pooled)}
    bounds: Fields = {
        "value": described(
            or_null(NUMBER), "The value, in `unit`; null: it could not be had, and `reason` says why."
        ),
        "lo": described(
            or_null(NUMBER), "Lower end of its 95 % interval: accuracy, against measuring by hand."
        ),
        "hi": described(or_null(NUMBER), "Upper end of the same."),
        "repeat_sd": described(or_null(NUMBER), told["repeat_sd"]),
    }
    pooled: Fields = {
        "photos": described(
            COUNT,
            f"Photos {told['photos']}; of several photos of a person only, as `sd` and `repeatability`.",
        ),
        "sd": described(
            or_null(NUMBER), "Standard deviation between the photos, of one of them; null of fewer than two."
        ),
        "repeatability": described(or_null(NUMBER), told["repeatability"]),
    }
    unit = {"unit": described(TEXT, told["unit"])}
    made.define(
        "Millimetres", entries({**bounds, **pooled, **unit}, pooled), "The same value in millimetres."
    )
    fields: Fields = {
        **bounds,
        **pooled,
        **unit,
        "reason": described(TEXT, told["reason"]),
        "corrected": described(TRUTH, told["corrected"]),
        "reliability": described(
            or_null(NUMBER),
            "Share of the variance between people that is no error of repeating, 0 to 1; null: not known.",
        ),
        "z": described(listed({"$ref": "#/$defs/ZScore"}), "A z-score for each reference."),
        "mm": {"$ref": "#/$defs/Millimetres", "description": "In millimetres, where there is a scale."},
    }
    return made.define(
        "Value",
        entries(fields, [*pooled, "mm"]),
        "A measured value with its errors and z-scores.",
    )


def gate(made: Schemas) -> Schema:
    """The checks of the photo gate, by name."""
    check = made.record(
        Check,
        without=["name"],
        changed={"value": described(or_null(NUMBER), "What the photo has, in `unit`; null: not known.")},
        words={
            "limit": "The limit that it is compared with, in `unit`.",
            "unit": "Unit of value and limit.",
            "ok": "Whether the photo passes.",
            "advice": "What would mend it.",
        },
    )
    return described(by_name(check), "Checks of the photo gate by name.")


def _common(made: Schemas, table: str) -> Fields:
    """What records of photos and of people have in common."""
    values(made)
    made.record(
        Chance,
        words={
            "reference": "Name of the reference.",
            "beyond": "Measurements of these whose z is beyond ±2.",
            "expected": "How many would be in a healthy person, on average.",
        },
    )
    return {
        "measurements": described(
            or_null(by_name({"$ref": "#/$defs/Value"})),
            "Values by the id of the measurement, see the atlas; null where nothing was measured.",
        ),
        "by_chance": described(
            listed({"$ref": "#/$defs/Chance"}),
            "How many z-scores lie beyond ±2, and how many would by chance.",
        ),
        "disagreements": column(table, "disagreements", listed(TEXT)),
        "notes": column(table, "notes", listed(TEXT)),
        "age_basis": column(table, "age_basis", TEXT),
        "columns": described(by_name(TEXT), "The row of the input table, as it was: cells by column."),
    }


def _diagnostics(made: Schemas) -> Schema:
    known = {**meanings(Diagnostics)}
    first = ("anthropo", "settings", "dlib", "landmark_model", "fine_model", "jitter", "person", "declared")
    words = {
        "anthropo": "Version of anthropo.",
        "settings": "Fingerprint of all settings: records with the same one were measured alike.",
        "dlib": "Version of dlib's sources that the engine was built from.",
        "landmark_model": "First 16 digits of the SHA-256 of the landmark model.",
        "fine_model": "The same of the second stage; empty: it was not used.",
        "jitter": "Evaluations that a landmark is the mean of.",
        "sha256": "SHA-256 of the photo or video.",
        "detector": "Name of the detector that found the face.",
        "score": "Score of the face detector.",
        "distance_hi": "Upper end of the same.",
        "second_try": "Whether the face was found by a second, finer look only.",
    }
    return made.record(
        Diagnostics,
        words={**known, **words},
        optional=[f.name for f in fields(Diagnostics) if f.name not in first],
    )


def record(made: Schemas) -> Schema:
    """One face of one photo."""
    common = _common(made, "measure")
    place: Fields = {
        "width": column("measure", "width", INTEGER),
        "height": column("measure", "height", INTEGER),
        "box": column("measure", "box_left", listed(NUMBER, 4, 4)),
        "landmarks": described(
            listed(_POINT, 68, 68),
            "The 68 landmarks, x and y in pixels of the upright photo, (0, 0) the centre of the first pixel.",
        ),
        "landmark_sd": described(
            listed(listed(or_null(NUMBER), 2, 2), 68, 68),
            "Standard deviation of each, x and y, pixels; null: a single evaluation has no spread.",
        ),
        "anatomy": described(
            by_name(_POINT),
            "Landmarks beyond the 68 by their code (pupils, middle of the lids' margins), px.",
        ),
        "pose": described(
            entries({a: column("measure", a, NUMBER) for a in ("yaw", "pitch", "roll")}),
            "How the head is turned, degrees.",
        ),
        "gate": gate(made),
        "moved": described(by_name(NUMBER), "Landmarks that were placed by hand, and how far each, pixels."),
        "seen": made.entry_of(FacePlace, "seen"),
        "hidden": column("measure", "hidden_landmarks", listed(TEXT)),
    }
    assert list(place) == [one.name for one in fields(FacePlace)]
    video = made.record(
        VideoSummary,
        changed={
            "seconds": column("measure", "video_seconds", NUMBER),
            "frames": column("measure", "video_frames", COUNT),
            "remarks": column("measure", "video_remarks", listed(TEXT)),
        },
    )
    scale = made.define(
        "Scale",
        entries({n: made.entry_of(Scale, n) for n in ("mm_per_px", "rel_sd", "method")}),
        "Millimetres per pixel of the photo.",
    )
    face = {
        "photo": column("measure", "photo", TEXT),
        "face": column("measure", "face", COUNT),
        "status": column("measure", "status", _STATUS),
        "reason": column("measure", "reason", TEXT),
        **{name: or_null(schema) for name, schema in place.items()},
        "scale": described(
            or_null(scale), "Millimetres per pixel, where a scale was asked for and found; else null."
        ),
        **{name: common[name] for name in ("measurements", "by_chance")},
        "texture": described(
            or_null(by_name(or_null(NUMBER))),
            "Local binary patterns, shares by name, where --texture asks for them.",
        ),
        **{name: common[name] for name in ("disagreements", "notes", "age_basis")},
        "remark": column("measure", "remark", TEXT),
        "columns": common["columns"],
        "diagnostics": described(_diagnostics(made), "What it was measured with."),
        "video": described(video, "Of a video: what was measured of it."),
    }
    return made.define("Record", entries(face, ["video"]), (Record.__doc__ or "").split("\n", 1)[0])


def measurements() -> Schema:
    """What ``measure -o FILE.json`` writes."""
    made = Schemas()
    photos = described(listed(record(made)), "A record for each face, and for each photo without a result.")
    return made.whole(entries({"anthropo": VERSION, "photos": photos}))


def people() -> Schema:
    """What ``measure --patient -o FILE.json`` writes."""
    made = Schemas()
    common = _common(made, "measure --patient")
    photo = entries(
        {
            "photo": column("measure", "photo", TEXT),
            "status": column("measure", "status", _STATUS),
            "reason": column("measure", "reason", TEXT),
            "sha256": described(or_null(SHA256), "SHA-256 of the photo; null: it could not be read."),
            "gate_failed": column("measure", "gate_failed", listed(TEXT)),
            "moved": described(
                by_name(NUMBER), "Landmarks that were placed by hand, and how far each, pixels."
            ),
        }
    )
    table = "measure --patient"
    person = {
        "patient": column(table, "patient", TEXT),
        "photos": described(listed(made.define("Photo", photo, "A photo of the person.")), "The photos."),
        "status": column(table, "status", _STATUS),
        "reason": column(table, "reason", TEXT),
        **common,
        "diagnostics": described(_diagnostics(made), "What it was measured with."),
    }
    whole = described(
        listed(made.define("Person", entries(person), "A person.")), "A record for each person."
    )
    return made.whole(entries({"anthropo": VERSION, "patients": whole}))


def landmarks() -> Schema:
    """A landmark file, which ``measure --save-landmarks`` writes and ``--landmarks`` reads."""
    point = entries(
        {
            "point": one_of(*landmark_file.POINTS),
            "name": described(TEXT, "What it is, in words."),
            "x": described(NUMBER, "Pixels to the right, where the point is to be measured from."),
            "y": described(NUMBER, "Pixels down."),
            "found": described(_POINT, "x and y where it was found; kept when a hand moves the point."),
        }
    )
    point["properties"]["point"] = described(
        point["properties"]["point"], "p0 to p67 of the 68-point scheme, or a code beyond it."
    )
    made = {
        "schema": described({"const": landmark_file.SCHEMA}, "Kind and version of the file."),
        "anthropo": VERSION,
        "stages": described(TEXT, "Which landmark stages placed the points."),
        "photo": described(TEXT, "Name of the photo."),
        "sha256": described(SHA256, "SHA-256 of the photo, which ties the file to it."),
        "width": column("measure", "width", INTEGER),
        "height": column("measure", "height", INTEGER),
        "how": described(TEXT, "How to read and to change the points."),
        "points": described(
            listed(point, len(landmark_file.POINTS), len(landmark_file.POINTS)), "Every point."
        ),
    }
    return entries(made)


# ------------------------------------------------------------------------------------------- change


def _change(made: Schemas) -> Fields:
    kinds: Fields = {
        **dict.fromkeys(("photos_before", "photos_after"), COUNT),
        "status": one_of("changed", "moved", "within error", "not compared"),
    }
    row = entries(columns("change", kinds))
    photo = entries(
        {
            "photo": described(TEXT, "The photo, as it was named."),
            "state": described(TEXT, "The state that it is of."),
            "sha256": described(SHA256, "SHA-256 of the photo."),
            "gate_failed": column("measure", "gate_failed", listed(TEXT)),
            "landmarks_by_hand": described(COUNT, "Landmarks that were placed by hand."),
        }
    )
    return {
        "anthropo": VERSION,
        "patient": column("change", "patient", TEXT),
        "states": described(listed(TEXT, 2, 2), "Names of the two states, the earlier one first."),
        "summary": described(TEXT, "The result in a sentence."),
        "remarks": described(listed(TEXT), "What the reader should know of the photos."),
        "left_out": described(listed(TEXT), "Photos that could not be used, and why."),
        "face_distance": described(
            or_null(NUMBER),
            "Distance of the two faces for the network that tells people apart, 0 to 2; null: not known.",
        ),
        "references": described(listed(TEXT), "References that z-scores are under."),
        "photos": described(listed(made.define("Photo", photo, "A photo.")), "The photos of both states."),
        "measurements": described(
            listed(made.define("Change", row, "How one measurement changed.")), "Every measurement."
        ),
    }


def change() -> Schema:
    """What ``change BEFORE AFTER -o FILE.json`` writes."""
    made = Schemas()
    return made.whole(entries(_change(made)))


def change_cohort() -> Schema:
    """What ``change COHORT -o FILE.json`` writes."""
    made = Schemas()
    person = made.define("Person", entries(_change(made)), "One patient, as `change` writes it.")
    table = "change FILE.tests.csv"
    tests = columns(table, dict.fromkeys(("n", "left_out", "changed", "moved"), COUNT))
    for name in ("name", "part", "side", "unit"):
        tests[name] = column("change", name, TEXT)
    tests["measurement"] = column("change", "measurement", TEXT)
    left = entries({"patient": described(TEXT, "The patient."), "reason": described(TEXT, "Why.")})
    return {
        **entries(
            {
                "anthropo": VERSION,
                "cohort": described(TEXT, "Name of the table."),
                "states": described(listed(TEXT, 2, 2), "Names of the two states, the earlier one first."),
                "summary": described(TEXT, "The result in a sentence."),
                "remarks": described(listed(TEXT), "What the reader should know."),
                "left_out": described(listed(left), "Patients who could not be compared."),
                "tests": described(
                    listed(made.define("Test", entries(tests), "A test over the patients.")),
                    "A test for each measurement; an end of an interval that is not bounded is null.",
                ),
                "patients": described(listed(person), "Each patient."),
            }
        ),
        "$defs": made.definitions,
    }
