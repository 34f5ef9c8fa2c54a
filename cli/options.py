"""Options that several commands share."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import click

from anthropo.face.landmarker import DEFAULT_JITTER
from anthropo.photo import MAX_MEGAPIXELS
from anthropo.video import FRAMES
from anthropo.workflows.cohort import PhotoReading
from anthropo.workflows.progress import available_cores as available_cores

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def all_of(*decorators: Decorator) -> Decorator:
    """Several options as one decorator, in the order of the help."""

    def apply(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def passed_as(name: str, kind: type[Any]) -> Decorator:
    """Give a command the options that are fields of a dataclass as one argument."""
    fields = {field.name for field in dataclasses.fields(kind)}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(*args: Any, **options: Any) -> Any:
            values = {key: options.pop(key) for key in fields & set(options)}
            return function(*args, **{name: kind(**values)}, **options)

        return command

    return decorate


def _even(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    if value is not None and value != 1 and value % 2:
        raise click.BadParameter(f"{value} is neither 1 nor an even number.")
    return value


photos_argument: Decorator = click.argument("photos", metavar="PHOTO...", nargs=-1, required=True)

face_option: Decorator = click.option(
    "--face",
    type=click.Choice(["one", "largest", "all"]),
    default="one",
    show_default=True,
    help="With several faces: refuse, take the largest, or take all. Faces less than 0.6 times as wide as "
    "the largest are background and count only for 'all'.",
)

jobs_option: Decorator = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=available_cores,
    show_default="all cores",
    help="Threads.",
)

jitter_option: Decorator = click.option(
    "--jitter",
    type=click.IntRange(1, 256),
    callback=_even,
    default=DEFAULT_JITTER,
    show_default=True,
    help="Evaluations of the landmark model per face, half of them on its mirror image; the landmarks are "
    "their mean. 1: one plain evaluation.",
)

landmark_model_option: Decorator = click.option(
    "--landmark-model",
    metavar="FILE.dat",
    help="Another dlib shape predictor with the 68-point scheme.",
)

allow_duplicates_option: Decorator = click.option(
    "--allow-duplicates",
    is_flag=True,
    help="Accept the same or nearly the same photograph under different patients.",
)

frames_option: Decorator = click.option(
    "--frames",
    type=click.IntRange(1, 1000),
    default=FRAMES,
    show_default=True,
    help="Frames of a video that are measured, spread evenly over it.",
)

device_option: Decorator = click.option(
    "--device",
    metavar="auto|cpu|cuda|mps",
    default="auto",
    show_default=True,
    help="Where to train; auto: on a GPU where there is one.",
)

landmarks_option: Decorator = click.option(
    "--landmarks",
    metavar="FILE.json|DIR",
    help="Measure from these landmarks (`anthropo measure --save-landmarks`); points that were moved by hand "
    "stay where they were put.",
)

max_megapixels_option: Decorator = click.option(
    "--max-megapixels",
    type=click.FloatRange(min=0, min_open=True),
    default=MAX_MEGAPIXELS,
    show_default=True,
    help="Refuse larger photographs before decoding them.",
)

#: How photos are looked at by the commands that learn, which need one face per photo. What is left out is
#: as in training where there is a model, else as in `anthropo measure`.
learning_photo_options: Decorator = all_of(
    click.option(
        "--face",
        type=click.Choice(["one", "largest"]),
        help="With several faces: refuse, or take the largest.  [default: one, or the model's]",
    ),
    click.option(
        "--jitter",
        type=click.IntRange(1, 256),
        callback=_even,
        help=f"Evaluations of the landmark model per face.  [default: {DEFAULT_JITTER}, or the model's]",
    ),
    click.option(
        "--fine/--no-fine",
        default=None,
        help="Look at the landmarks a second time, in patches.  [default: fine, or the model's]",
    ),
    landmark_model_option,
    click.option(
        "--no-face",
        is_flag=True,
        help="Photos of skin or of anything else without a face: the middle square of each is encoded, "
        "nothing is measured. A model remembers it.",
    ),
    max_megapixels_option,
    jobs_option,
    click.option(
        "--cache",
        metavar="DIR|none",
        help="Where measurements and embeddings of the photos are kept, so that no photo is looked at twice. "
        "They are biometric data: choose a protected folder, or none.  [default: anthropo's own "
        "cache folder]",
    ),
)

encoder_weights_option: Decorator = click.option(
    "--encoder-weights",
    metavar="FILE",
    help="The encoder's weights, where they do not come with anthropo; for a model whose encoder is a "
    "network, that network.  [default: the network beside the model]",
)

#: The same, given to the command as `reading`, a `PhotoReading`; with --landmarks or without.
reading_options: Decorator = all_of(
    landmarks_option, learning_photo_options, passed_as("reading", PhotoReading)
)
network_reading_options: Decorator = all_of(learning_photo_options, passed_as("reading", PhotoReading))

#: Their names, as parameters.
LEARNING_PHOTO_NAMES = (
    "face", "jitter", "fine", "landmark_model", "no_face", "max_megapixels", "jobs", "cache",
)  # fmt: skip
