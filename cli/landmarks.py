"""anthropo landmarks"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

import click

from anthropo.cli import options
from anthropo.cli.common import (
    EXIT_NONE,
    EXIT_SOME,
    MOST_FAILURES,
    FiniteRange,
    draw_to,
    figures_folder,
    in_one_sentence,
    place_to_write,
    progress,
    show_first,
)
from anthropo.cli.decorators import all_of, passed_as
from anthropo.cli.sections import SectionedGroup
from anthropo.files import write
from anthropo.landmarks.forest import ForestOptions
from anthropo.plain import say
from anthropo.report.figure_files import figures_of
from anthropo.report.landmarks import print_evaluated, print_trained, write_evaluated
from anthropo.report.rendering import as_csv
from anthropo.workflows.landmarks import (
    LandmarkTrainRequest,
    evaluate_landmarks,
    place_landmarks,
    train_landmarks,
)

if TYPE_CHECKING:
    from anthropo.parallel import Runner

annotated_argument = click.argument("annotated", metavar="ANNOTATED")
unit_option = options.names_option(
    "--unit",
    "A,B",
    "Two points, in whose distance errors are given.  [default: the outer canthi of the 68 points, else the "
    "diagonal of the points' bounding box]",
)


#: How the trees of a landmark model are grown; the defaults are those of `ForestOptions`.
forest_options = all_of(
    click.option(
        "--cascades",
        type=click.IntRange(1, 100),
        default=ForestOptions().cascades,
        help="Forests, one after the other.",
    ),
    click.option(
        "--trees", type=click.IntRange(1, 10_000), default=ForestOptions().trees, help="Trees of each."
    ),
    click.option(
        "--depth", type=click.IntRange(1, 10), default=ForestOptions().depth, help="Levels of a tree."
    ),
    click.option(
        "--nu",
        type=FiniteRange(0, 1, min_open=True),
        default=ForestOptions().nu,
        help="Share of what is lacking that a tree adds.",
    ),
    click.option(
        "--copies",
        type=click.IntRange(2, 1000),
        default=ForestOptions().copies,
        help="Jittered copies of each face, and as many of its mirror image (dlib: oversampling).",
    ),
    click.option(
        "--pool",
        type=click.IntRange(2, 4096),
        default=ForestOptions().pool,
        help="Pixels that a forest looks at (dlib: feature pool).",
    ),
    click.option(
        "--candidates",
        type=click.IntRange(1, 1000),
        default=ForestOptions().candidates,
        help="Splits that are tried at each node.",
    ),
    click.option(
        "--fine-epochs",
        type=click.IntRange(0, 1000),
        default=None,
        help="Epochs of the second landmark stage's networks, which place all 68 points again; 0: the "
        "packaged networks refine.  [default: 64 from 100 people on, else 0; 0 for .dat and with --start]",
    ),
)


@click.group(cls=SectionedGroup)
def command() -> None:
    """Landmark models of your own: train one on annotated faces, judge it, place its points.

    \b
    ANNOTATED is one of
      a folder   of photos with 300-W .pts files, WebMorph .tem files, or corrected landmark
                 files (`anthropo measure --save-landmarks`) beside them
      .xml       of dlib's imglab
      .json      COCO keypoints
      .csv       photo, x0, y0, x1, y1 … or photo, NAME_x, NAME_y …; or photo, landmarks (a .pts
                 file); with a column `patient` where several photos are of one person

    \b
    Examples:
      anthropo landmarks train faces/ -o mine.anthropo --licence "CC BY 4.0"
      anthropo landmarks evaluate others/ --landmark-model mine.anthropo -o error.html
      anthropo measure p.jpg --landmark-model mine.anthropo
      anthropo landmarks place p.jpg --landmark-model ears.anthropo
    """


@command.command(short_help="Train a landmark model on annotated faces.")
@annotated_argument
@options.output_option(
    "MODEL", "Write the model to this file: .anthropo, or .dat for dlib, which keeps less.", required=True
)
@click.option(
    "--licence",
    metavar="TEXT",
    help="Terms of the photos, such as 'research only'; kept in the file, shown by `anthropo inspect`.",
)
@click.option(
    "--held-out",
    type=FiniteRange(0, 0.9, min_open=True),
    default=0.2,
    help="Share of the people who are kept apart to judge by; in the end everybody is trained on.",
)
@unit_option
@click.option(
    "--start",
    metavar="MODEL|none",
    help="Begin from a model of the 68 points: landmarks-68, which comes with anthropo, or a file. It places "
    "first; what is learnt is how the annotated points lie beside its own. Its licence is taken over. none: "
    "from nothing.  [default: landmarks-68 if the annotated points are the 68, else none; none for .dat and "
    "with options on trees or networks]",
)
@forest_options
@options.seed_option("jitter and trees")
@options.limits_options
@options.jobs_option
@options.cluster_options
@options.permissive_option
@passed_as("options", "anthropo.landmarks.forest:ForestOptions")
@passed_as("request", LandmarkTrainRequest)
def train(annotated: str, output: str, request: LandmarkTrainRequest) -> None:
    """Train a landmark model on the faces of ANNOTATED (`anthropo landmarks --help` lists the forms).

    Where these are the 68 points of iBUG (300-W), which measuring and everything else need
    (--landmark-model), a model begins from the one that comes with anthropo, and 20 photos are enough: what
    is learnt is by how much your annotators' points lie beside its own. Everybody is placed in turn by what
    the others teach, and that error is printed; networks are trained only with --fine-epochs. What that model
    was trained on stays in yours, people of your photos maybe among it: judge on others. Its licence stays,
    too, and excludes commercial use.

    From nothing (--start none), the model is a cascade of regression trees, grown by dlib's recipe on what
    prediction will see: faces upright in the detector's box, jittered, and each with its mirror image. Any
    points can be learned; with --start they are placed beside the 68.

    People are told apart by the column `patient`, else by the photos' names. A share of them is kept apart;
    their error is printed, and then the trees learn from everybody. A model is only as good as its
    annotations: it takes hundreds of faces, annotated consistently, best by one person.

    From 100 people on, networks of a second stage then place the 68 points again: one sees the whole face,
    six its regions. They learn from the people who are not kept apart. Those who are kept apart decide how
    much weight the second stage gets for each point, and correct its constant offset from the annotators'
    points. With 800 faces the trees take 6 minutes of computing, these networks 28; --fine-epochs 0 leaves
    them out.

    \b
    Exit code: 0 the model is written; 2 wrong use, or an error in the annotations; 130 interrupted.

    \b
    Examples:
      anthropo landmarks train faces/ -o mine.anthropo --licence "research only"
      anthropo landmarks train faces/ -o mine.anthropo --start none
      anthropo landmarks train imglab.xml -o ears.anthropo --unit 00,05
    """
    with in_one_sentence("nothing was written."):
        path = place_to_write(output, (".anthropo", ".dat"), (annotated,))
        trained = train_landmarks(annotated, path, request, progress=progress)
        print_trained(trained)
        for note in trained.notes:
            say(f"warning: {note}", fg="yellow", err=True)
        say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


@command.command(short_help="Judge a landmark model on annotated faces.")
@annotated_argument
@click.option(
    "--landmark-model",
    metavar="FILE",
    help="What `anthropo landmarks train` wrote, or a shape predictor of dlib (.dat).  [default: what comes "
    "with anthropo]",
)
@options.output_option("FILE", "Write .csv, .json, or .html with a picture of the errors by point.")
@options.figures_option
@options.raw_option
@unit_option
@options.limits_options
@options.jobs_option
@options.cluster_options
@options.permissive_option
def evaluate(
    annotated: str,
    landmark_model: str | None,
    output: str | None,
    figures: str | None,
    unit: tuple[str, ...],
    max_megapixels: float,
    deadline: float,
    jobs: int,
    runner: Runner | None,
) -> None:
    """Compare a model's landmarks with those of ANNOTATED (`anthropo landmarks --help` lists the forms).

    For each point: the mean distance, its median and 95th percentile, the spread over jittered boxes, and how
    often the interval that the spread gives holds the annotated place (coverage, of 95 %). Beside it stands
    the model that comes with anthropo, on the same faces in the same boxes, where the points are the 68 of
    iBUG. Use people on whom the model was not trained.

    \b
    Exit code: 0, or 2 wrong use, or an error in the annotations.

    \b
    Examples:
      anthropo landmarks evaluate others/ --landmark-model mine.anthropo
      anthropo landmarks evaluate others.csv --landmark-model mine.anthropo -o error.html
    """
    with in_one_sentence("nothing was written."):
        inputs = [annotated, *filter(None, [landmark_model])]
        path = place_to_write(output, (".csv", ".json", ".html"), inputs) if output else None
        folder = figures_folder(figures)
        judged = evaluate_landmarks(
            annotated,
            landmark_model,
            unit=unit,
            jobs=jobs,
            runner=runner,
            max_megapixels=max_megapixels,
            deadline=deadline,
            progress=progress,
        )
        if path is not None:
            write_evaluated(path, judged)
        draw_to(folder, lambda: figures_of(judged))
        print_evaluated(judged)
        if path is not None:
            say(f"{path}: written", err=True)


@command.command(short_help="Place the points of a landmark model on photos.")
@options.photos_argument
@click.option(
    "--landmark-model",
    metavar="FILE",
    required=True,
    help="What `anthropo landmarks train` wrote, of any points, or a shape predictor of dlib (.dat).",
)
@options.output_option("FILE.csv", "Write the table to this file.  [default: standard output]")
@options.one_of_faces_option
@options.limits_options
@options.jobs_option
@options.cluster_options
@options.permissive_option
def place(
    photos: tuple[str, ...],
    landmark_model: str,
    output: str | None,
    face: Literal["one", "largest"],
    max_megapixels: float,
    deadline: float,
    jobs: int,
    runner: Runner | None,
) -> None:
    """Place the points of a landmark model on PHOTOs: files, folders, patterns, tables with a column `photo`.

    This is for points that are not the 68 of iBUG, which `measure` and everything else take from
    --landmark-model. The table has a row for each photo: NAME_x and NAME_y of each point in pixels of the
    upright photo, NAME_sd, the standard deviation of its error as people kept apart showed it, and a reason
    where there are none. `anthropo landmarks train` reads it: correct points in it, and train again.

    \b
    Exit code: 0 all photos done, 1 none, 2 wrong use, 3 some failed (each with its reason).

    \b
    Examples:
      anthropo landmarks place clinic/ --landmark-model ears.anthropo -o points.csv
    """
    with in_one_sentence("nothing was written."):
        path = place_to_write(output, (".csv",), [landmark_model]) if output else None
        placed = place_landmarks(
            photos,
            landmark_model,
            face=face,
            jobs=jobs,
            runner=runner,
            max_megapixels=max_megapixels,
            deadline=deadline,
            progress=progress,
        )
        text = as_csv(placed.to_frame())
        if path is None:
            say(text.rstrip("\n"))
        else:
            write(path, text)
        show_first([one.reason for one in placed.photos if one.reason], "more photos failed", MOST_FAILURES)
        if path is not None:
            say(f"{path}: {len(placed.photos) - placed.failed} of {len(placed.photos)} photos", err=True)
        if placed.failed:
            sys.exit(EXIT_NONE if placed.failed == len(placed.photos) else EXIT_SOME)
