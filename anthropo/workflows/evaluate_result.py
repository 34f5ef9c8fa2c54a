"""What judging gives: evaluations with their figures, and the answers that these are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anthropo.errors import InputError
from anthropo.face.gate import GateSummary
from anthropo.learning.cohort import Finding
from anthropo.learning.evaluation import Evaluation
from anthropo.showing import brief, html, listed, word

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluateResult:
    """How good models are: one evaluation, or one per attribute.

    Attributes
    ----------
    evaluations : tuple of Evaluation
        One, or one for each attribute.
    findings : tuple of Finding
        What is wrong with the cohort.
    notes : tuple of str
        Sentences on what could not be judged as asked for.
    gate : GateSummary
        How the photos did at the photo gate.
    salt : str
        What patients' and photos' names are hashed with in `predictions`.
    sites : tuple of str
        The site of each fold, where sites were left out one by one.
    """

    evaluations: tuple[Evaluation, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    gate: GateSummary
    salt: str = field(default="", repr=False)
    sites: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        return html(self, "evaluate_result")

    def plot(self, kind: str = "roc", ax: Axes | None = None, *, attribute: str | None = None) -> Axes:
        """Draw a figure of the evaluation.

        Parameters
        ----------
        kind : {"roc", "precision-recall", "calibration", "decision-curve", "confusion", "subgroups", "sites"}
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.
        attribute : str, optional
            Of several, the one that is drawn; the first when left out.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError
            If there is no such figure of this evaluation.
        """
        named = {str(made.attribute): made for made in self.evaluations}
        if not named or (attribute is not None and attribute not in named):
            raise InputError(f"attribute={attribute!r}: not judged. There are {', '.join(named) or 'none'}.")
        return named[attribute or next(iter(named))].plot(kind, ax)

    def __repr__(self) -> str:
        if len(self.evaluations) == 1:
            return repr(self.evaluations[0]).replace("<Evaluation", f"<{type(self).__name__}", 1)
        each = (f"{word(of.attribute)} AUROC {of.figures['auroc'].value:.2f}" for of in self.evaluations)
        return brief(self, listed(each)) if self.evaluations else brief(self, "not judged")

    def to_frame(self) -> pd.DataFrame:
        """A row per figure: attribute, model, metric, value, lo and hi (95 % interval), n, reason."""
        import pandas as pd

        return pd.concat([made.to_frame() for made in self.evaluations], ignore_index=True)

    def predictions(self, *, names: bool = False) -> pd.DataFrame:
        """Every answer that the figures are made of: of models that have not seen the patient.

        Parameters
        ----------
        names : bool, default False
            Show photos and patients by name. Left out, they are hashes, which only who has the photos can
            trace back.

        Returns
        -------
        pandas.DataFrame
            A row for each model (the hybrid and its baselines, or what was compared), each dealing of the
            patients to folds and each photo, with the columns of ``anthropo evaluate --predictions``
            (docs/columns.md): true label, decision, prediction set, and each label's probability and
            log-odds.

        Examples
        --------
        >>> import anthropo
        >>> result = anthropo.load_model("m.anthropo").evaluate("cohort/cohort.csv", allow_duplicates=True)
        >>> table = result.predictions()
        >>> list(table.columns[:8])
        ['model', 'repeat', 'fold', 'patient', 'photo', 'true_label', 'decision', 'set']
        """
        from anthropo.learning.predictions import predictions_of

        judged = {made.attribute: made.judged for made in self.evaluations}
        return predictions_of(judged, self.salt, self.sites, names=names)
