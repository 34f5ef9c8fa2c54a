"""Networks, landmark models and translations as pictures; see `anthropo.report.plots`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anthropo.errors import InputError
from anthropo.report.finetune import draw_loss, draw_metric, metric_of
from anthropo.report.landmarks import draw_errors
from anthropo.report.plots import Plot
from anthropo.report.translation import draw_moved

if TYPE_CHECKING:
    from anthropo.networks.finetuning import Finetuned
    from anthropo.workflows.landmarks import LandmarkEvaluation
    from anthropo.workflows.translation import TrainedTranslation


def finetuned(made: Finetuned, kind: str = "loss") -> Plot:
    """How the loss, or what the training was stopped by, went over the epochs."""
    history = made.network.about.history
    if not any(history.values()):
        raise InputError("No epoch of this network was recorded, so that there is nothing to draw.")
    if kind == "loss":
        return Plot((5.0, 3.4), lambda axes: draw_loss(axes, history))
    if kind != "metric":
        raise InputError(f"kind={kind!r}: no such picture. There are loss, metric.")
    return Plot((5.0, 3.4), lambda axes: draw_metric(axes, history, metric_of(made.network)))


def landmark_evaluation(judged: LandmarkEvaluation) -> Plot:
    """The mean annotated face with the error of each point."""
    return Plot((5.4, 5.4), lambda axes: draw_errors(axes, judged))


def trained_translation(made: TrainedTranslation, to: str = "B") -> Plot:
    """The mean face with a disc at each landmark, as large as translation moves it."""
    of = {one.to: one for one in made.judgement.directions}
    if to not in of:
        raise InputError(f"to={to!r}: no such domain. There are {', '.join(of)}.")
    return Plot((4.2, 4.2), lambda axes: draw_moved(axes, of[to]))
