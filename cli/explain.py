"""anthropo explain"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo.batch.inputs import Item, collect
from anthropo.batch.records import Record
from anthropo.batch.run import MeasuredFace, measure_item
from anthropo.batch.scores import scores_of
from anthropo.cli import options
from anthropo.cli.common import EXIT_NONE, in_one_sentence, place_to_write
from anthropo.cli.learning import Given, corrected, encoder_of, look, settings_of
from anthropo.errors import InputError, ModelError
from anthropo.reference.tables import parse_age, parse_sex
from anthropo.settings import Settings
from anthropo.workflows.classify import People

if TYPE_CHECKING:
    from anthropo.encoder.encoders import Encoder
    from anthropo.explanation.contributions import Explanation
    from anthropo.explanation.heatmap import FaceHeat
    from anthropo.face.landmarker import Face
    from anthropo.learning.features import Features
    from anthropo.learning.trained import Trained
    from anthropo.photo import Photo
    from anthropo.reference.traits import Trait
    from anthropo.report.explanation import Case

    _Seen = dict[str, tuple[Record, Face]]  # by photo

_SUFFIXES = (".html", ".json", ".png")
_NAMED = 5


@click.command(short_help="Say why a model says what it says of a person.")
@options.photos_argument
@click.option("--model", metavar="MODEL", required=True, help="What `anthropo train` wrote.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write .html (a report to read or print), .json (every number) or .png (one picture).",
)
@click.option("--patient", is_flag=True, help="All photos are of one person: one explanation.")
@click.option(
    "--label",
    "labels",
    metavar="LABEL",
    multiple=True,
    help="Explain this label; may be repeated.  [default: the three most probable and 'none of these']",
)
@click.option("--sex", help="female or male: for z-scores, and for a model that reads it.")
@click.option("--age", help="Years (or 18m): for z-scores, and for a model that reads it.")
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="NAME|FILE",
    help="z-scores against this table; may be repeated.  [default: frl-adults, when sex or age is known]",
)
@click.option("--template", is_flag=True, help="Draw heatmaps over a line-drawn face in place of the photo.")
@click.option("--anonymous", is_flag=True, help="Leave the photo and its name out of what is written.")
@click.option(
    "--matches", is_flag=True, help="Tell how alike the nearest patients of matched labels are (no picture)."
)
@click.option("--force", is_flag=True, help="Judge a photo that the photo gate finds unfit.")
@click.option(
    "--top", type=click.IntRange(min=1), default=5, show_default=True, help="Labels shown on the terminal."
)
@options.encoder_weights_option
@options.landmarks_option
@options.learning_photo_options
def command(photos: tuple[str, ...], model: str, output: str | None, top: int, **given: Any) -> None:
    """Say why a model says what it says of the person in PHOTO.

    Each label's log-odds is an exact sum: what each measurement, each deep region of the face and each
    metadatum adds or takes away. The report shows it beside the photo, with heatmaps of what the regions
    look at (and whether these can be trusted), where each measurement stands among the people of each
    label, what would change the decision, and what the photo gate voids. A photo that is not fit to be
    judged gets a report that says why.

    One person at a time: a photo, several with --patient, or a CSV with the columns `photo` and
    whatever metadata the model reads.

    \b
    Exit code: 0 explained, 1 no usable photo, 2 wrong use, 130 interrupted.

    \b
    Examples:
      anthropo explain --model m.anthropo portrait.jpg
      anthropo explain --model m.anthropo portrait.jpg -o why.html --sex female --age 31
      anthropo explain --model m.anthropo portrait.jpg -o why.html --anonymous --template
      anthropo explain --model m.anthropo --patient p07-1.jpg p07-2.jpg -o why.json --label control
    """
    with in_one_sentence("nothing is written."):
        path = place_to_write(output, _SUFFIXES, (model, *photos)) if output else None
        items = _one_person(collect(photos), given)

        from anthropo.learning.trained import Trained

        trained = Trained.load(Path(model))
        case = case_of(trained, model, items, given, drawn=path is not None)
        if case is None:
            sys.exit(EXIT_NONE)

        from anthropo.report.explanation import print_explanation, write

        if path is None:
            print_explanation(case, top)
        else:
            write(path, case)
            click.echo(f"{path}: {_size(path)}", err=True)


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.2f} MB"


def _one_person(items: list[Item], given: Given) -> list[Item]:
    """The photos, with sex and age from the command line where the table has none.

    Raises
    ------
    InputError
        If they are of several people, or sex or age is none.
    """
    for name, parse in (("sex", parse_sex), ("age", parse_age)):
        if given[name]:
            parse(given[name])
    people = {item.columns.get("patient") or os.path.realpath(item.path) for item in items}
    if len(people) > 1 and not given["patient"]:
        raise InputError(
            f"{len(items)} photos of {len(people)} people; one person is explained at a time. Pass --patient "
            "if all are of one person, or give one photo."
        )
    said = {name: given[name] for name in ("sex", "age") if given[name]}
    return [replace(item, columns={**said, **item.columns}) for item in items]


def case_of(trained: Trained, model: str, items: list[Item], given: Given, *, drawn: bool) -> Case | None:
    """Everything to be said of a person; None, after saying why, when no photo can be used.

    Raises
    ------
    AnthropoError
        If a label, an option or the model cannot be used.
    """
    from anthropo.explanation.changes import smallest_changes
    from anthropo.explanation.contributions import check_labels, explain
    from anthropo.face.landmarker import FIRST_DECODE
    from anthropo.learning.features import subset
    from anthropo.photo import read_photo
    from anthropo.report.explanation import Case, picture_record

    check_labels(trained, given["labels"])
    if not _calibrated(trained):
        raise ModelError(
            f"{model}: the model is not calibrated, so that its log-odds say nothing. Train it again."
        )
    settings = corrected(settings_of(given, trained.manifest), given, [item.path for item in items])
    encoder = encoder_of(trained, model, given["encoder_weights"], settings)
    features = look(
        People.of(items, trained, together=True).cohort, settings, encoder, trained.regions, given
    )
    for _, reason in features.left_out:
        click.echo(reason, err=True)
    if not len(features):
        return None
    face: Face | None = None
    traits: Sequence[Trait] = ()
    left_out: list[str] = []
    if settings.no_face:
        photo = read_photo(str(features.photos[0]), max_megapixels=settings.max_megapixels)
        record = picture_record(photo)
    else:
        measured = replace(settings, references=tuple(given["references"]), force=False)
        usable = set(features.photos.tolist())
        used = [item for item in items if item.path in usable]
        seen, left_out = _fit(trained, used, measured, given["force"])
        features = subset(features, [path in seen for path in features.photos.tolist()])
        of_photo, face, traits = _together([item for item in used if item.path in seen], seen, measured)
        photo = read_photo(of_photo.photo, short_side=FIRST_DECODE, max_megapixels=settings.max_megapixels)
        record = of_photo.to_json()
    (explanation,) = explain(trained, features, given["labels"])
    case = Case(
        trained=trained,
        explanation=explanation,
        changes=smallest_changes(trained, features),
        record=record,
        photo=photo,
        face=face,
        heat=None,
        heat_reason="",
        traits=traits,
        matches=_matches(explanation, model) if given["matches"] else (),
        anonymous=given["anonymous"],
        template=given["template"],
        force=given["force"],
        left_out=left_out,
    )
    if not drawn or case.voided:
        return case
    heat, why = _heat(trained, encoder, photo, face, explanation, features)
    return replace(case, heat=heat, heat_reason=why)


def _fit(trained: Trained, items: Sequence[Item], settings: Settings, force: bool) -> tuple[_Seen, list[str]]:
    """Photos that are fit to be judged, and why the others are not; all of them where none is."""
    from anthropo.report.explanation import unfit

    seen: _Seen = {}
    for item in items:
        faces: list[Face] = []

        def keep(one: MeasuredFace, faces: list[Face] = faces) -> None:
            faces.append(one.face)

        (record,) = measure_item(item, settings, keep)
        if record.ok:
            seen[item.path] = record, faces[0]
    reasons = {} if force else {path: unfit(trained, record.to_json()) for path, (record, _) in seen.items()}
    good = [path for path in seen if not reasons.get(path)]
    if not good or len(good) == len(seen):
        return seen, []
    bad = [f"{path}: left out. {reasons[path]}" for path in seen if path not in good]
    return {path: seen[path] for path in good}, bad


def _together(items: Sequence[Item], seen: _Seen, settings: Settings) -> tuple[Record, Face, Sequence[Trait]]:
    """The record and face of the photo that is best to measure, with the measurements and traits of all."""
    from anthropo.batch.patients import one_person, pool_patient
    from anthropo.reference.traits import call_traits

    record, face = min(
        seen.values(), key=lambda one: (sum(not c.ok for c in one[1].gate), one[1].unsteadiness)
    )
    person = items[0]
    if len(seen) > 1:
        who = one_person("", items)
        pooled = pool_patient(who, {path: [one] for path, (one, _) in seen.items()}, settings)
        person = Item(who.shown, who.columns)
        record = replace(record, measurements=pooled.measurements, scores=pooled.scores, notes=pooled.notes)
    scores = scores_of(person, record.measurements, settings).scores
    return record, face, call_traits(record.measurements, scores)


def _calibrated(trained: Trained) -> bool:
    from anthropo.learning.model import LabelModel

    model = trained.model
    return not isinstance(model, LabelModel) or bool((model.classifier.stack_.slopes > 0).any())


def _matches(explanation: Explanation, model: str) -> list[tuple[str, float]]:
    ranked = explanation.prediction.ranked
    if not any(r.similarity is not None and r.log_odds is None for r in ranked):
        click.echo(
            f"--matches: {model} has no matched labels, whose nearest patients are compared.", err=True
        )
    return [(r.label, r.similarity) for r in ranked if r.similarity is not None and r.log_odds is None]


def _heat(
    trained: Trained,
    encoder: Encoder,
    photo: Photo,
    face: Face | None,
    explanation: Explanation,
    features: Features,
) -> tuple[FaceHeat | None, str]:
    """Heatmaps of the first label that is trained, or why there are none."""
    import numpy as np
    import torch

    from anthropo.explanation.contributions import contrast
    from anthropo.explanation.heatmap import heatmaps
    from anthropo.learning.attributes import AttributeModel
    from anthropo.learning.model import LabelModel

    label = next((e.label for e in explanation.labels if e.how == "trained"), None)
    if label is None:
        return None, "There is no heatmap of a label that is told by a distance or by its nearest patient."
    if isinstance(trained.model, AttributeModel):
        classifier = trained.model.classifiers[trained.model.labels.index(label)]
        weights = np.array([-1.0, 1.0])
    else:
        assert isinstance(trained.model, LabelModel)
        classifier = trained.model.classifier
        total = classifier.margins(trained.table(features)).mean(0)
        weights, _ = contrast(total, trained.model.trained.index(label))
    if not classifier.regions_:
        return None, "The model uses no regions of the face, so that there is no heatmap."
    torch.set_num_threads(options.available_cores())
    return heatmaps(classifier, encoder, photo, face, weights), ""
