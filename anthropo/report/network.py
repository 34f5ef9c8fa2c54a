"""A network's own answers: on a terminal, and where in the picture they come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from anthropo._version import __version__
from anthropo.encoder.regions import middle_square
from anthropo.errors import InputError, parameter
from anthropo.face.detection import power_of_two
from anthropo.files import write
from anthropo.learning.model import Prediction
from anthropo.plain import minus, say, visible
from anthropo.report import figures, heat
from anthropo.report.answers import probability_words
from anthropo.report.rendering import NOTE, as_json, png, print_table

if TYPE_CHECKING:
    from anthropo.networks.network import Network
    from anthropo.workflows.network_model import NetworkCase, NetworkClassification

_SIDE = 420  # px, of each picture
_MARGIN, _LINE = 16, 22  # px

#: What is said of a network's probabilities.
UNCALIBRATED = (
    "the network's own, not calibrated; no prevalence, no set, no 'none of these' (train a model on it: {})"
)


def uncalibrated_words() -> str:
    """What is said of a network's probabilities, and how to have calibrated ones."""
    return UNCALIBRATED.format(f"anthropo train, {parameter('encoder', 'net.anthropo')}")


def print_network_answer(prediction: Prediction, network: Network, top: int) -> None:
    """One person: the decision and the `top` labels, with all that are decided for."""
    photos = prediction.photos
    say(photos[0] if len(photos) == 1 else f"{len(photos)} photos of one person", bold=True)
    attributes = network.task == "attributes"
    decided = set(prediction.decision.split("; ")) if attributes else {prediction.decision}
    shown = [r for i, r in enumerate(prediction.ranked) if i < top or r.label in decided]
    name = "attribute" if attributes else "grade" if network.task == "grades" else "label"
    rows = []
    for ranked in shown:
        log_odds = minus(f"{ranked.log_odds or 0.0:+.2f}")
        mark = ("present" if ranked.label in decided else "absent") if attributes else ""
        row = (ranked.label, probability_words(ranked.probability), log_odds)
        rows.append((*row, mark) if attributes else row)
    columns = (name, "probability", "log-odds", *(("decided",) if attributes else ()))
    print_table(columns, rows, left=("decided",))
    if len(shown) < len(prediction.ranked):
        say(f"… and {len(prediction.ranked) - len(shown)} less probable ones (--top).", dim=True)
    rule = {
        "attributes": "a probability of 0.5 or more each",
        "grades": "as probable to be below as above it",
    }.get(network.task, "most probable")
    say("decision   ", nl=False)
    say(prediction.decision, bold=True, nl=False)
    say(f" ({rule})")
    say(f"These are {uncalibrated_words()}.")
    say(
        f"Likeness to the photos that the network was trained on. {NOTE}",
        dim=True,
    )


def print_network_case(case: NetworkCase, top: int) -> None:
    """The answer, and whether its heatmap can be trusted."""
    print_network_answer(case.prediction, case.network, top)
    say(f"heatmap    of {case.label}: {_trust(case)} (-o why.png draws it)")


def _trust(case: NetworkCase) -> str:
    faithfulness = case.heat.whole.faithfulness
    if faithfulness is None:
        return "not judged"
    lost = (
        f"without its most supportive tenth the log-odds fall by {faithfulness.top_tenth_drop:.2f}, without "
        f"a random tenth by {faithfulness.random_tenth_drop:.2f}"
    )
    return f"faithful: {lost}" if faithfulness.passes else f"not to be relied on, since {faithfulness.reason}"


# -------------------------------------------------------------------------------------------------- files


def write_network_case(path: Path, case: NetworkCase) -> None:
    """Write where a network's answer comes from, as a picture (.png) or all numbers (.json).

    Parameters
    ----------
    path : pathlib.Path
    case : anthropo.workflows.network_model.NetworkCase

    Raises
    ------
    InputError
        If the suffix is another, or the file cannot be written.
    """
    check_suffix(path)
    as_numbers = path.suffix.lower() == ".json"
    write(path, as_json(case.to_json()) if as_numbers else png(_picture(case)))


def check_suffix(path: Path) -> None:
    """Refuse a file that a network's answer cannot be written to."""
    if path.suffix.lower() not in (".json", ".png"):
        raise InputError(
            f"{path}: a network has no sum of measurements and regions to explain on a page. Write .png (a "
            f"heatmap) or .json, or explain a model trained with {parameter('encoder', 'net.anthropo')}."
        )


def heatmap_files(made: NetworkClassification) -> list[str]:
    """A name for the picture of each prediction: that of its first photo, each once."""
    names: list[str] = []
    taken: set[str] = set()
    for prediction in made.predictions:
        stem = Path(prediction.photos[0]).stem
        name, at = f"{stem}.png", 1
        while name.casefold() in taken:
            at += 1
            name = f"{stem}-{at}.png"
        taken.add(name.casefold())
        names.append(name)
    return names


def _picture(case: NetworkCase) -> Image.Image:
    """The photo, the heatmap over it, what its colours mean, and the answer in words."""
    values = case.heat.whole.values
    limit = heat.common_limit([values])
    if case.face is None:
        photo = case.photo.finer(power_of_two(min(case.photo.full_size) / _SIDE))
        pixels = middle_square(photo, _SIDE)
        plain, warm = Image.fromarray(pixels), heat.square(pixels, values, limit)
    else:
        plain = figures.overlay(case.photo, case.face)
        plain = plain.resize((round(plain.width * _SIDE / plain.height), _SIDE), Image.Resampling.LANCZOS)
        warm = heat.overlay(values, case.photo, case.face, limit, _SIDE)
    bar = heat.bar(limit, _SIDE)
    ranked = case.prediction.ranked[:5]
    lines = [
        f"{visible(case.label)}: heatmap {_trust(case)}",
        "; ".join(f"{visible(r.label)} {probability_words(r.probability)}" for r in ranked),
        f"anthropo {__version__}. {NOTE}",
    ]
    font = ImageFont.load_default(13)
    width = plain.width + warm.width + 3 * _MARGIN
    wrapped = [piece for line in lines for piece in _wrapped(line, font, width - 2 * _MARGIN)]
    height = _SIDE + bar.height + 4 * _MARGIN + _LINE * len(wrapped)
    picture = Image.new("RGB", (width, height), "white")
    picture.paste(plain, (_MARGIN, _MARGIN))
    picture.paste(warm, (plain.width + 2 * _MARGIN, _MARGIN))
    picture.paste(bar, (plain.width + 2 * _MARGIN, _SIDE + 2 * _MARGIN))
    draw = ImageDraw.Draw(picture)
    for at, line in enumerate(wrapped):
        draw.text((_MARGIN, _SIDE + bar.height + 3 * _MARGIN + _LINE * at), line, "black", font)
    return picture


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
