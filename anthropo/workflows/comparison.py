"""Train several networks by one recipe, and put their figures side by side."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anthropo.errors import InputError, parameter
from anthropo.showing import fielded, html
from anthropo.workflows.finetuning import FinetuneRequest, Prepared, finetune, prepare
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.networks.compare import Compared
    from anthropo.networks.training_loop import Report


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedNetworks:
    """Networks that were trained alike and judged on the same patients."""

    networks: tuple[Compared, ...]
    notes: tuple[str, ...] = ()

    __repr__ = fielded

    def rows(self) -> list[dict[str, Any]]:
        """A row for each network and label; the figures over all labels are repeated."""
        return [row for network in self.networks for row in network.rows()]

    def _repr_html_(self) -> str:
        return html(self, "table_of")

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows())


def prepare_comparison(
    cohort: str | os.PathLike[str],
    request: FinetuneRequest,
    networks: Sequence[str] = (),
    *,
    progress: Progress = silent,
) -> tuple[Prepared, ...]:
    """Read a cohort once for several backbones; for those of the published comparison when left out."""
    from anthropo.networks.architectures import BACKBONES
    from anthropo.networks.compare import FIVE

    for backbone in networks:
        if backbone not in BACKBONES:
            raise InputError(
                f"{parameter('networks', backbone)}: unknown. Choose from {', '.join(BACKBONES)}."
            )
    requests = [
        replace(request, changes=(*request.changes, f"backbone={backbone}"))
        for backbone in dict.fromkeys(networks or FIVE)
    ]
    recipes = [one.load_recipe() for one in requests]  # a mistake is found before photos are read
    first = prepare(cohort, requests[0], progress=progress)
    return tuple(replace(first, training=replace(first.training, recipe=recipe)) for recipe in recipes)


def compare_networks(
    cohort: str | os.PathLike[str] | Sequence[Prepared],
    folder: str | os.PathLike[str],
    request: FinetuneRequest,
    networks: Sequence[str] = (),
    *,
    command: str = "",
    progress: Progress = silent,
    report: Report | None = None,
    begin: Callable[[str], None] | None = None,
) -> ComparedNetworks:
    """Train networks by one recipe on the same patients, and judge them on the same others.

    Parameters
    ----------
    cohort : path or sequence of Prepared
        A table or folder of labelled photos, or what `prepare_comparison` made of it.
    folder : path
        For the networks' files. An interrupted comparison continues from what is there.
    request : FinetuneRequest
        How all of them are trained.
    networks : sequence of str
        Backbones; those of the published comparison when left out.
    command : str
        What the networks remember of how they were made.
    progress : Progress
        While photos are read.
    report : callable, optional
        Called after every step of a training.
    begin : callable, optional
        Called with each backbone's name before it is trained.

    Returns
    -------
    ComparedNetworks

    Raises
    ------
    CohortError, AnthropoError
        As `finetune`, or if a backbone is unknown.

    Examples
    --------
    >>> request = FinetuneRequest(recipe="skin-five")
    >>> compare_networks("cohort.csv", "networks", request, ["alexnet"])  # else result.to_frame()
    Traceback (most recent call last):
    anthropo.errors.InputError: networks='alexnet': unknown. Choose from deepgestalt, resnet50, ...
    """
    from anthropo.networks.checkpoints import folder_of
    from anthropo.networks.compare import with_costs

    where, prepared = Path(folder), cohort
    if isinstance(prepared, (str, os.PathLike)):
        prepared = prepare_comparison(prepared, request, networks, progress=progress)
    try:
        where.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{where}: cannot be made ({error.strerror}).") from None
    compared, files = [], []
    for one in prepared:
        backbone = one.training.recipe.parameters.backbone
        files.append(where / f"{backbone}.anthropo")
        if begin:
            begin(backbone)
        # the checkpoints stay until all are trained, so that those that are done need no second training
        finetuned = finetune(one, files[-1], request, command=command, report=report, keep_checkpoint=True)
        compared.append(with_costs(finetuned, one.training, files[-1], threads=request.reading.jobs))
    for file in files:
        shutil.rmtree(folder_of(file), ignore_errors=True)
    notes = dict.fromkeys(note for one in compared for note in one.finetuned.notes)
    return ComparedNetworks(networks=tuple(compared), notes=tuple(notes))
