"""Train a published network on your photographs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anthropo.encoder.regions import IMAGE
from anthropo.errors import InputError, parameter
from anthropo.files import held
from anthropo.learning.cohort import Cohort, Finding, read_cohort, read_target
from anthropo.learning.cohort_checks import by_level, validate
from anthropo.learning.duplicates import listed_pairs
from anthropo.learning.identity import (
    find_known_people,
    named_pairs,
    resolve_people,
    same_person_choice,
)
from anthropo.showing import given
from anthropo.workflows.cohort import CohortError, CohortRequest, settings_for
from anthropo.workflows.domains import SITE, in_both
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    from anthropo.networks.finetuning import Finetuned
    from anthropo.networks.pictures import CohortPictures
    from anthropo.networks.recipes import Recipe
    from anthropo.networks.training_loop import Report
    from anthropo.networks.training_set import TrainingSet


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneRequest(CohortRequest):
    """Which network is trained, and how.

    Parameters
    ----------
    recipe : {"deepgestalt", "skin-five", "risk-grading", "differential", "attributes", "contrastive", \
"dann", "deep-coral"}
    parameters : path, optional
        TOML or YAML with options that differ from the recipe's.
    changes : tuple of str
        ``option=value`` each, which outrank the file.
    align : {"canonical", "two-point", "none"}, optional
        How faces are brought to the network's pictures: by their inner landmarks, by the middles of the eyes,
        or by the detector's box alone. The recipe's option `alignment` when left out.
    warm_start : str, optional
        Weights to begin with: "none", "face-resnet", "efficientnet-lite0", "imagenet" or a file.
    pretrain : path, optional
        A cohort on whose faces the network first learns to recognise people (identity stage).
    state : str, optional
        Of contrastive: the column that tells a person's photos apart, such as well and ill; ``state`` when
        left out, if there is such a column.
    domain : str, optional
        Of dann and deep-coral: the column of the site that a photo is from, ``site`` when left out. The
        recipe's option ``targets`` names those whose photos are adapted to, and whose labels are not learned.
    target : path, optional
        Of dann and deep-coral: photos of where the network will be used, a folder or table. Labels that they
        have are only judged by.
    device : {"auto", "cpu", "cuda", "mps"}
    resume : bool
        Whether an interrupted training continues from its checkpoint, or starts again.
    allow_duplicates : bool
        Whether one photograph may be under different patients.
    same_person : {"merge", "refuse", "ignore"}, optional
        As in `anthropo.TrainRequest`.
    reading : PhotoReading
        How the photos are read.
    """

    recipe: str
    parameters: str | os.PathLike[str] | None = None
    changes: tuple[str, ...] = ()
    align: str | None = None
    warm_start: str | None = None
    pretrain: str | os.PathLike[str] | None = None
    state: str | None = None
    domain: str | None = None
    target: str | os.PathLike[str] | None = None
    device: str = "auto"
    resume: bool = True
    allow_duplicates: bool = False
    same_person: str | None = None

    __repr__ = given

    def load_recipe(self) -> Recipe:
        """The recipe with all changes; an InputError if an option does not fit.

        Returns
        -------
        Recipe

        Raises
        ------
        InputError
            If there is no such recipe or option, or a value does not fit.
        """
        from anthropo.networks.recipes import load_recipe

        file = Path(self.parameters) if self.parameters else None
        load = partial(load_recipe, self.recipe, file, self.changes)
        options: dict[str, Any] = {} if self.warm_start is None else {"warm_start": self.warm_start}
        if self.align is not None:
            from anthropo.encoder.views import BY_NAME

            if self.align not in BY_NAME or self.reading.no_face:
                without = self.align in BY_NAME
                what = (
                    "pictures without a face have none"
                    if without
                    else f"unknown. Choose from {', '.join(BY_NAME)}"
                )
                raise InputError(f"{parameter('align', self.align)}: {what}.")
            options["alignment"] = BY_NAME[self.align]
        if self.reading.no_face:
            asked = load(**options)
            views = asked.parameters.views
            if "views" in asked.changed and views != (IMAGE,):
                raise InputError(
                    f"{parameter('no_face', True)} with views {', '.join(views)}, which are of a face. Leave "
                    "one of them out."
                )
            options["views"] = (IMAGE,)
        recipe = load(**options)
        self._check_sources(recipe)
        return recipe

    def sites_in(self, recipe: Recipe) -> str | None:
        """The column of the sites, if the target is among these.

        Parameters
        ----------
        recipe : Recipe

        Returns
        -------
        str or None
        """
        return self.domain or (SITE if recipe.parameters.targets and not self.target else None)

    def _check_sources(self, recipe: Recipe) -> None:
        """Refuse columns and photos that the recipe has no use for, and a target that is missing."""
        adapts = recipe.parameters.adaptation != "none"
        for name, value in (("domain", self.domain), ("target", self.target)):
            if value and not adapts:
                given = parameter(name, os.fspath(value))
                raise InputError(
                    f"{given}: the recipe {recipe.name} adapts to nothing. Choose dann or deep-coral."
                )
        if self.state and recipe.task != "pairs":
            raise InputError(f"{parameter('state', self.state)}: only the recipe contrastive has pairs.")
        if self.domain and self.target:
            raise InputError(
                f"{parameter('domain', self.domain)} and {parameter('target', os.fspath(self.target))}: the "
                "target is either among the cohort's sites, or photos of its own. Leave one of them out."
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GatheredPictures:
    """A cohort whose photos have been read for a network, and what speaks against training on it."""

    photos: CohortPictures
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether nothing speaks against training."""
        return all(finding.level != "error" for finding in self.findings)

    def refuse_unusable(self) -> None:
        """Raise a `CohortError` if something speaks against training."""
        if not self.usable:
            raise CohortError(self.photos.source, self.findings, self.photos.features.left_out)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """Everything that a training needs, read and checked."""

    training: TrainingSet
    gathered: tuple[GatheredPictures, ...]  # the cohort, and that of the identity stage
    notes: tuple[str, ...] = ()


def gather_pictures(
    path: str | os.PathLike[str],
    recipe: Recipe,
    request: FinetuneRequest,
    *,
    identity: bool = False,
    progress: Progress = silent,
) -> GatheredPictures:
    """Read a cohort and its photos, and check what can be checked before training.

    With `identity` its patients take the place of labels.
    """
    from anthropo.networks.sources import STATE, require_sites

    same_person_choice(request.same_person)
    allowed = request.allow_duplicates
    column = None if identity else request.sites_in(recipe)
    cohort = read_cohort(
        path,
        multilabel=recipe.task == "attributes" and not identity,
        instead=(request.state or STATE) if recipe.task == "pairs" else None,
        unlabelled=(column, recipe.parameters.targets) if column else None,
    )
    if column:
        require_sites(cohort, column, recipe.parameters.targets)
    with progress(len(cohort.cases), "reading photos") as advance:
        photos = read_pictures_of(cohort, recipe, request, advance)
    learned = cohort
    if column:  # what is said of labels is not about the target's
        theirs = recipe.parameters.targets
        kept = (case for case in cohort.cases if case.metadata.get(column, "").strip() not in theirs)
        learned = replace(cohort, cases=tuple(kept))
    findings = validate(learned, photos.features, allow_duplicates=allowed)
    features, people, identity_findings = resolve_people(
        cohort.source, photos.features, request.same_person, allow_duplicates=allowed
    )
    photos = replace(photos, features=features, people=people)
    findings = by_level([*findings, *identity_findings])
    # training itself speaks of labels with few patients, since its limit is another one
    findings = [f for f in findings if f.category != "label" or (f.level != "note" and not identity)]
    if recipe.task != "cases":  # metadata is not learned from
        findings = [f for f in findings if f.category != "metadata"]
    return GatheredPictures(photos=photos, findings=tuple(findings))


def read_pictures_of(
    cohort: Cohort, recipe: Recipe, request: FinetuneRequest, advance: Callable[[], None]
) -> CohortPictures:
    """The pictures that a recipe's network sees of a cohort."""
    from anthropo.networks.pictures import read_pictures
    from anthropo.networks.training_set import view_of

    no_face = recipe.parameters.views == (IMAGE,)
    return read_pictures(
        cohort,
        view_of(recipe.parameters),
        settings_for(replace(request.reading, no_face=no_face)),
        memory=recipe.parameters.memory,
        jobs=request.reading.jobs,
        runner=request.reading.runner,
        identify=not no_face and not (request.allow_duplicates and request.same_person is None),
        advance=advance,
    )


def prepare(
    cohort: str | os.PathLike[str], request: FinetuneRequest, *, progress: Progress = silent
) -> Prepared:
    """Read everything that a training needs, and deal the patients to its parts."""
    from anthropo.networks.pretrained import require_source
    from anthropo.networks.sources import split_by_site
    from anthropo.networks.training_loop import device_of
    from anthropo.networks.training_set import training_set

    recipe = request.load_recipe()
    device_of(request.device)  # refused before photos are read, as is a warm start that is not there
    require_source(recipe.parameters.backbone, recipe.parameters.warm_start)
    gathered = gather_pictures(cohort, recipe, request, progress=progress)
    gathered.refuse_unusable()
    notes: tuple[str, ...] = ()
    faces: GatheredPictures | None = None
    if request.pretrain:
        faces = gather_pictures(request.pretrain, recipe, request, identity=True, progress=progress)
        faces = replace(faces, findings=(*faces.findings, *_known(gathered, faces)))
        faces.refuse_unusable()
    source, target = gathered.photos, None
    others: tuple[GatheredPictures, ...] = (faces,) if faces else ()
    if column := request.sites_in(recipe):
        source, target = split_by_site(source, column, recipe.parameters.targets)
    elif request.target:
        theirs = gather_target(request.target, gathered, recipe, request, progress=progress)
        theirs.refuse_unusable()
        target, others = theirs.photos, (*others, theirs)
    elif recipe.parameters.adaptation != "none":
        raise InputError(
            f"{recipe.name}: nothing to adapt to. Pass {parameter('target', 'PHOTOS')}, or "
            f"{parameter('domain', 'COLUMN')} and {parameter('changes', 'targets=SITE')}."
        )
    if (
        recipe.name == "deepgestalt"
        and not faces
        and recipe.parameters.identity == "none"
        and not request.reading.no_face
    ):
        notes = (f"no identity stage, because there is no {parameter('pretrain', 'COHORT')}.",)
    return Prepared(
        training=training_set(
            recipe, source, faces.photos if faces else None, target=target, state=request.state
        ),
        gathered=(gathered, *others),
        notes=notes,
    )


def gather_target(
    path: str | os.PathLike[str],
    gathered: GatheredPictures,
    recipe: Recipe,
    request: FinetuneRequest,
    *,
    progress: Progress = silent,
) -> GatheredPictures:
    """Read the photos of a target, labelled or not; none of them may be among those of the cohort."""
    cohort = read_target(path, set(gathered.photos.features.labels.tolist()))
    with progress(len(cohort.cases), "reading target photos") as advance:
        photos = read_pictures_of(cohort, recipe, request, advance)
    left_out = photos.features.left_out
    if len(photos.features) < 2:
        why = f" ({left_out[0][1]})" if left_out else ""
        raise InputError(
            f"{os.fspath(path)}: {len(photos.features)} usable photos to adapt to{why}; two or more are "
            f"needed. Add photos, or give another {parameter('target')}."
        )
    findings = [Finding("warning", "photo", reason) for _, reason in left_out]
    if again := in_both(gathered.photos.features, photos.features):
        text = (
            f"{path}: target photos that are also training photos, {listed_pairs(again)}: figures of the "
            "target would be of photos whose labels were learned. Take them out of one of the two."
        )
        findings.append(Finding("error", "duplicate", text))
    made = GatheredPictures(photos=photos, findings=tuple(findings))
    return replace(made, findings=(*made.findings, *_known(made, gathered)))


def _known(cohort: GatheredPictures, faces: GatheredPictures) -> list[Finding]:
    """A warning on people of the cohort who are in the identity stage as well."""
    pairs = find_known_people(cohort.photos.features, faces.photos.features)
    if not pairs:
        return []
    people = len({pair.patients[0] for pair in pairs})
    text = (
        f"{faces.photos.source}: {people} patients of {cohort.photos.source} are there as well, "
        f"{named_pairs(pairs)}: figures of those who are kept apart come out too good. Take them out "
        "of one of the two."
    )
    return [Finding("warning", "identity", text)]


def finetune(
    cohort: str | os.PathLike[str] | Prepared,
    output: str | os.PathLike[str],
    request: FinetuneRequest,
    *,
    command: str = "",
    progress: Progress = silent,
    report: Report | None = None,
    keep_checkpoint: bool = False,
) -> Finetuned:
    """Train a network by a recipe, judge it on patients that were kept apart, and write its file.

    Parameters
    ----------
    cohort : path or Prepared
        A table or folder of labelled photos, or what `prepare` made of it.
    output : path
        The network's file. Beside it lies a checkpoint, from which an interrupted training continues.
    request : FinetuneRequest
    command : str
        What the network remembers of how it was made.
    progress : Progress
    report : callable, optional
        Called after every step of the training.
    keep_checkpoint : bool
        Whether it stays when the network is written.

    Returns
    -------
    Finetuned

    Raises
    ------
    CohortError
        If the cohort cannot be trained on.
    AnthropoError
        If an option, the warm start or the disk does not allow it.

    Examples
    --------
    >>> from pathlib import Path
    >>> import anthropo
    >>> import numpy as np
    >>> from PIL import Image
    >>> for label, grey in ("dark", 60), ("light", 200):
    ...     folder = Path("cohort", label)
    ...     folder.mkdir(parents=True)
    ...     for i in range(5):
    ...         picture = np.full((40, 40, 3), grey + i, np.uint8)
    ...         Image.fromarray(picture).save(folder / f"{i}.png")
    >>> request = FinetuneRequest(
    ...     recipe="skin-five",
    ...     changes=("backbone=deepgestalt", "warm_start=none", "size=32", "batch=2", "epochs=1"),
    ...     reading=anthropo.PhotoReading(no_face=True, jobs=1),
    ... )
    >>> finetuned = finetune("cohort", "net.anthropo", request)
    >>> finetuned.network.labels, list(finetuned.to_frame()["label"])
    (('dark', 'light'), ['dark', 'light'])
    """
    from anthropo.networks.checkpoints import folder_of
    from anthropo.networks.finetuning import finetune as train
    from anthropo.networks.training_loop import device_of

    path = Path(output)
    prepared = cohort if isinstance(cohort, Prepared) else prepare(cohort, request, progress=progress)
    with held(path):
        finetuned = train(
            prepared.training,
            folder=folder_of(path),
            device=device_of(request.device),
            command=command,
            report=report,
            restart=not request.resume,
        )
        finetuned.network.save(path)
        if not keep_checkpoint:
            shutil.rmtree(folder_of(path), ignore_errors=True)
    return finetuned
