"""Translate faces from one domain of photographs to another, with landmarks that stay."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.batch.inputs import collect
from anthropo.container import unfit_text
from anthropo.encoder.encoders import SEEN
from anthropo.errors import InputError, parameter
from anthropo.files import held, write
from anthropo.learning.manifest import PhotoSettings
from anthropo.learning.training import landmark_weights
from anthropo.licensing import check_faces
from anthropo.showing import draw, fielded, given, html
from anthropo.workflows.cohort import PhotoReading, settings_for
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from anthropo.translation.file import About, Translation
    from anthropo.translation.judging import TranslationJudgement
    from anthropo.translation.options import TranslationParameters
    from anthropo.translation.pictures import Faces, TranslationDomains
    from anthropo.translation.training import LearnedTranslation, Report

_LONGEST_LICENCE = 2000  # characters
#: What the file says where nobody stated the terms of the photographs.
NOT_STATED = "not stated by whoever trained it"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationRequest:
    """How a translation is trained.

    Parameters
    ----------
    parameters : path, optional
        TOML or YAML with options that differ from the defaults; see `anthropo.translation.load_parameters`.
    changes : tuple of str
        ``option=value`` each, which outrank the file.
    label : str, optional
        A column of both tables with two labels, such as ``sex``: whether a classifier that learns from
        translated photos does better in the other domain.
    licence : str, optional
        Terms of the photographs, which the file keeps.
    device : {"auto", "cpu", "cuda", "mps"}
    resume : bool
        Whether an interrupted training continues from its checkpoint, or starts again.
    reading : PhotoReading
        How the photos are read.
    """

    parameters: str | os.PathLike[str] | None = None
    changes: tuple[str, ...] = ()
    label: str | None = None
    licence: str | None = None
    device: str = "auto"
    resume: bool = True
    reading: PhotoReading = field(default_factory=PhotoReading)

    __repr__ = given

    def load(self) -> TranslationParameters:
        """The options with all changes; an InputError if one does not fit.

        Returns
        -------
        TranslationParameters

        Raises
        ------
        InputError
            If there is no such option, or a value does not fit.
        """
        from anthropo.translation.options import load_parameters

        if self.reading.no_face:
            raise InputError(f"{parameter('no_face', True)}: only faces are translated. Leave it out.")
        if self.licence and (len(self.licence) > _LONGEST_LICENCE or unfit_text(self.licence)):
            raise InputError(
                f"{parameter('licence')}: a text of at most {_LONGEST_LICENCE} visible characters is needed."
            )
        return load_parameters(Path(self.parameters) if self.parameters else None, self.changes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedTranslation:
    """A translation that was trained, and what it does to people whom it has not seen.

    Attributes
    ----------
    translation : Translation
    judgement : TranslationJudgement
    path : Path
    left_out : tuple of (str, str)
        Photos that could not be used, each with the reason.
    notes : tuple of str
    """

    translation: Translation
    judgement: TranslationJudgement
    path: Path
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    __repr__ = fielded

    def _repr_html_(self) -> str:
        return html(self, "trained_translation")

    def plot(self, to: str = "B", ax: Axes | None = None) -> Axes:
        """Draw how far translation moves each landmark.

        Parameters
        ----------
        to : {"B", "A"}
            The domain that is translated to.
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "trained_translation", ax, to=to)

    def to_frame(self) -> pd.DataFrame:
        """A row for each direction and landmark, or measurement: what moved, by how much."""
        return self.judgement.to_frame()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Translated:
    """Faces that were translated.

    Attributes
    ----------
    to : str
        The domain.
    written : tuple of (str, Path)
        Each photo and the picture that was made of it.
    failed : tuple of (str, str)
        Photos that could not be translated, each with the reason.
    """

    to: str
    written: tuple[tuple[str, Path], ...]
    failed: tuple[tuple[str, str], ...]

    __repr__ = fielded

    def to_frame(self) -> pd.DataFrame:
        """A row for each photo: its picture, or the reason why there is none."""
        import pandas as pd

        rows = [{"photo": photo, "translated": str(path), "reason": ""} for photo, path in self.written]
        rows += [{"photo": photo, "translated": "", "reason": reason} for photo, reason in self.failed]
        return pd.DataFrame(rows, columns=["photo", "translated", "reason"])


def gather_domains(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    request: TranslationRequest,
    *,
    progress: Progress = silent,
) -> TranslationDomains:
    """Read the photos of both domains, and deal their people to what is trained on and judged by."""
    from anthropo.translation.pictures import read_domains

    check_faces()
    parameters = request.load()
    settings = settings_for(request.reading)
    with contextlib.ExitStack() as bars:

        def advance(total: int) -> Callable[[], None]:
            return bars.enter_context(progress(total, "reading photos"))

        return read_domains(
            (a, b),
            parameters.size,
            settings,
            label=request.label,
            held_out=parameters.held_out,
            seed=parameters.seed,
            masked=parameters.mask_borders,
            jobs=request.reading.jobs,
            runner=request.reading.runner,
            advance=advance,
        )


def train_translation(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    output: str | os.PathLike[str],
    request: TranslationRequest | None = None,
    *,
    command: str = "",
    progress: Progress = silent,
    report: Report | None = None,
    keep_checkpoint: bool = False,
) -> TrainedTranslation:
    """Train a translation between two domains of photographs, judge it on people kept apart, write its file.

    Parameters
    ----------
    a, b : path
        The domains: folders of photos, or tables with a column `photo`, best also `patient`.
    output : path
        The translation's file. Beside it lies a checkpoint, from which an interrupted training continues.
    request : TranslationRequest, optional
    command : str
        What the translation remembers of how it was made.
    progress : Progress
    report : callable, optional
        Called after every step of the training.
    keep_checkpoint : bool
        Whether it stays when the translation is written.

    Returns
    -------
    TrainedTranslation

    Raises
    ------
    InputError
        If the domains cannot be trained on, or an option does not fit.
    ModelError
        If the checkpoint is of another training, or cannot be written.

    Notes
    -----
    CycleGAN (Zhu et al. 2017, ICCV) with a loss that holds landmarks, as a small network places them that has
    learned from anthropo's own.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.synthetic import make_cohort
    >>> a = make_cohort("studio", n_per_label=5, labels=["control"], seed=1)
    >>> b = make_cohort("clinic", n_per_label=5, labels=["control"], seed=2)
    >>> tiny = ("size=32", "channels=2", "blocks=1", "epochs=1", "decay_epochs=0", "landmark_epochs=1")
    >>> trained = anthropo.train_translation(
    ...     a, b, "ab.anthropo", anthropo.TranslationRequest(changes=tiny, device="cpu")
    ... )
    >>> trained.translation.size, [one.to for one in trained.judgement.directions]
    (32, ['B', 'A'])
    """
    from anthropo.networks.checkpoints import folder_of
    from anthropo.networks.training_loop import device_of, exact
    from anthropo.parallel.threads import network_threads
    from anthropo.translation.checkpoints import Checkpoint, fingerprint
    from anthropo.translation.file import Translation
    from anthropo.translation.judging import STEPS, judge_translation
    from anthropo.translation.training import learn_translation

    request = request or TranslationRequest()
    parameters = request.load()
    device = device_of(request.device)  # refused before photos are read
    path = Path(output)
    domains = gather_domains(a, b, request, progress=progress)
    settings = settings_for(request.reading)
    folder = folder_of(path)
    with held(path):
        if not request.resume:
            shutil.rmtree(folder, ignore_errors=True)
        checkpoint = Checkpoint(folder / "translation.npz", fingerprint(domains, parameters, device))
        with exact(device), network_threads(parameters.threads):
            learned = learn_translation(
                domains, parameters, checkpoint=checkpoint, device=device, report=report
            )
            plain = Translation(_about(domains, parameters, learned, request, command), learned.generators)
            with progress(STEPS, "judging") as stepped:
                judgement = judge_translation(
                    plain,
                    domains,
                    settings,
                    label=request.label,
                    jobs=request.reading.jobs,
                    runner=request.reading.runner,
                    seed=parameters.seed,
                    stepped=stepped,
                )
        made = Translation(
            _about(domains, parameters, learned, request, command, judgement), learned.generators
        )
        made.save(path)
        if not keep_checkpoint:
            shutil.rmtree(folder, ignore_errors=True)
    return TrainedTranslation(
        translation=made,
        judgement=judgement,
        path=path,
        left_out=domains.left_out,
        notes=(*domains.notes, *judgement.notes),
    )


def _about(
    domains: TranslationDomains,
    parameters: TranslationParameters,
    learned: LearnedTranslation,
    request: TranslationRequest,
    command: str,
    judgement: TranslationJudgement | None = None,
) -> About:
    """What the file says, without a name of anybody."""
    from importlib import metadata

    from anthropo.translation.file import About, Side
    from anthropo.translation.pictures import DOMAINS

    settings = settings_for(request.reading)

    def side(train: Faces, held_out: Faces) -> Side:
        return Side(
            photos=len(train),
            people=len(set(train.people.tolist())),
            held_out_photos=len(held_out),
            held_out_people=len(set(held_out.people.tolist())),
        )

    parts = zip(domains.train, domains.held_out, strict=True)
    return About(
        parameters=parameters,
        domains=dict(zip(DOMAINS, (side(*part) for part in parts), strict=True)),
        settings=PhotoSettings(face=settings.face, fine=settings.fine, jitter=settings.jitter),
        history=learned.history,
        figures=judgement.figures() if judgement else {},
        weights=landmark_weights(settings),
        licence=request.licence or NOT_STATED,
        learned_from=tuple(sorted({d[:SEEN] for faces in domains.train for d in faces.digests})),
        command=command or None,
        libraries={name: metadata.version(name) for name in ("numpy", "torch")},
    )


def translate(
    model: str | os.PathLike[str] | Translation,
    photos: Sequence[str],
    folder: str | os.PathLike[str],
    to: str = "B",
    *,
    reading: PhotoReading | None = None,
    progress: Progress = silent,
) -> Translated:
    """Translate the faces of photos to another domain, each into a PNG that says what it is.

    Parameters
    ----------
    model : path or Translation
        What `train_translation` wrote.
    photos : sequence of str
        Files, folders, patterns, or tables with a column `photo`.
    folder : path
        Where the pictures are written, NAME.translated-to-B.synthetic.png; made when missing.
    to : {"A", "B"}
    reading : PhotoReading, optional
        How the photos are read; as in training when left out.
    progress : Progress

    Returns
    -------
    Translated

    Raises
    ------
    ModelError
        If the model is no translation, or is damaged.
    InputError
        If there is no such domain, no photo, or the folder cannot be written to.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.translate("m.anthropo", [anthropo.example_photo()], "out")
    Traceback (most recent call last):
    anthropo.errors.ModelError: m.anthropo: a classifier or a network, which translates nothing. Give what ...
    """
    from anthropo.translation.apply import marked_png, translated_name
    from anthropo.translation.file import Translation, load_translation
    from anthropo.translation.pictures import DOMAINS, looked_at

    check_faces()
    if to not in DOMAINS:
        raise InputError(f"{parameter('to', to)}: there is no such domain. Choose from {', '.join(DOMAINS)}.")
    translation = model if isinstance(model, Translation) else load_translation(model)
    items = collect(list(photos))
    settings = settings_for(reading or PhotoReading(), translation.about.settings)
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{place}: pictures cannot be written there ({error.strerror}). Name a folder."
        ) from None
    digest = translation.digest
    written: list[tuple[str, Path]] = []
    failed: list[tuple[str, str]] = []
    times: Counter[str] = Counter()
    how = reading or PhotoReading()
    faces = looked_at(items, translation.size, settings, jobs=how.jobs, runner=how.runner)
    with progress(len(items), "translating") as advance:
        for item, looked in zip(items, faces, strict=True):
            if isinstance(looked, str):
                failed.append((item.path, looked))
            else:
                made = translation.translate(looked.picture[None], to)[0]
                name = translated_name(item.path, to)
                times[name.lower()] += 1
                if (again := times[name.lower()]) > 1:  # photos of several folders may have one name
                    name = f"{again}-{name}"
                write(place / name, marked_png(made, to, digest))
                written.append((item.path, place / name))
            advance()
    return Translated(to=to, written=tuple(written), failed=tuple(failed))
