"""The mean shape and the average face of a label's people, and how far those of two labels lie apart."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.cache import Store
from anthropo.encoder.portrait import PORTRAIT, place
from anthropo.errors import FaceError, InputError, PhotoError
from anthropo.face.detection import power_of_two
from anthropo.face.frame import outer_canthal_distance
from anthropo.face.landmarker import FIRST_DECODE
from anthropo.face.parts import hidden_words
from anthropo.face.scheme import LANDMARKS
from anthropo.face.warp import Mesh
from anthropo.files import file_sha256
from anthropo.learning.cohort import Case
from anthropo.learning.entries import kept_reason
from anthropo.measurement import anatomy
from anthropo.observation import get_ready, observe
from anthropo.parallel.runner import Lost, Runner, choose, unless_lost
from anthropo.parallel.threads import Threads
from anthropo.photo import LUMA, read_photo
from anthropo.settings import Settings
from anthropo.showing import brief, count, word

#: Hidden landmarks of a face that may lie where the others tell: a map of what is seen errs by one or two.
_PREDICTED = 2
_KEPT = "landmarks for composites 2"  # changes with what is kept

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

#: Names of the landmarks that are single points.
POINT_CODES = {at[0]: code for code, at in LANDMARKS.items() if len(at) == 1}

# Bands of detail whose strength is restored, as the width of the finest one's Gaussian in outer-canthal
# distances; each next is twice as coarse.
_FINEST = 0.006
_BANDS = 4
_NEIGHBOURHOOD = 2.0  # widths of a band's own Gaussian in which its strength is taken
_MOST_GAIN = 8.0  # where the average has lost everything, there is nothing to make stronger
# Hair and background have no landmarks, and an average of them no detail worth making stronger.
_KNOWN = 1.15  # of the landmarks' outline about its middle
_SOFT = 0.08  # outer-canthal distances

# What few photos reach is no composite of everybody: paper, above that share of the people less and less.
_FEW, _MOST = 0.6, 0.9
_PAPER = 236.0  # grey level


@dataclass(frozen=True, slots=True, eq=False)
class Sitter:
    """A photo's face."""

    photo: str
    label: str
    patient: str
    points: Floats  # (68, 2) corrected landmarks, pixels of the full-size photo


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sitters:
    """The faces of photographs, and the photographs without one."""

    sitters: tuple[Sitter, ...]
    left_out: tuple[tuple[str, str], ...]  # photos, each with the reason


@dataclass(frozen=True, slots=True, eq=False)
class LabelShapes:
    """The aligned shapes of a label's people, one of each."""

    label: str
    photos: int
    shapes: Floats  # (patients, 68, 2), in the units of `align`

    def __repr__(self) -> str:
        return brief(
            self, word(self.label), f"{count(self.photos, 'photo')} of {count(self.patients, 'patient')}"
        )

    @property
    def patients(self) -> int:
        """How many people there are."""
        return len(self.shapes)

    @property
    def mean(self) -> Floats:
        """The mean shape, (68, 2)."""
        return np.asarray(self.shapes.mean(0))

    @property
    def sd(self) -> Floats:
        """The standard deviation between people, (68, 2); NaN of a single one."""
        if self.patients < 2:
            return np.full(self.shapes.shape[1:], np.nan)
        return np.asarray(self.shapes.std(0, ddof=1))


@dataclass(frozen=True, slots=True, eq=False)
class Displacement:
    """How far each landmark of a label's mean shape lies from that of another label."""

    label: str
    controls: str
    vectors: Floats  # (68, 2), outer-canthal distances of the cohort's mean shape
    t2: Floats  # (68,) Hotelling's T²
    p: Floats  # (68,) by permutation
    p_adjusted: Floats  # (68,) of all landmarks together

    def __repr__(self) -> str:
        sure = int((self.p_adjusted < 0.05).sum())
        return brief(
            self,
            f"{word(self.label)} from {word(self.controls)}",
            f"largest {float(self.lengths.max()):.3f} outer-canthal distances",
            f"{sure} of {len(self.vectors)} landmarks at p < 0.05",
        )

    @property
    def lengths(self) -> Floats:
        """How far each landmark moves, (68,)."""
        return np.asarray(np.hypot(*self.vectors.T))


# ------------------------------------------------------------------------------------------------ faces


def find_sitters(
    cases: Sequence[Case],
    settings: Settings,
    *,
    jobs: int = 1,
    runner: Runner | None = None,
    store: Store | None = None,
    on_progress: Callable[[], None] | None = None,
) -> Sitters:
    """The faces of photographs, in the order of the cases; those that the store has are not looked for."""
    sitters: list[Sitter] = []
    left_out: list[tuple[str, str]] = []
    keys, known = (
        _looked_up(cases, settings, store, jobs) if store else ([""] * len(cases), [None] * len(cases))
    )
    lacking = [case for case, points in zip(cases, known, strict=True) if points is None]
    landmarks = choose(jobs, len(lacking), runner).in_order(_Landmarks(settings), lacking)
    for case, key, kept in zip(cases, keys, known, strict=True):
        points = next(landmarks) if kept is None else kept
        if store and key and kept is None:
            _keep(store, key, case, points)
        if isinstance(points, Lost):
            left_out.append((case.photo, points.reason(case.photo)))
        elif isinstance(points, str):
            left_out.append((case.photo, points))
        else:
            sitters.append(Sitter(case.photo, case.label, case.patient, points))
        if on_progress:
            on_progress()
    return Sitters(sitters=tuple(sitters), left_out=tuple(left_out))


def _looked_up(
    cases: Sequence[Case], settings: Settings, store: Store, jobs: int
) -> tuple[list[str], list[Floats | str | None]]:
    """The key of each photo, and its landmarks, or why there are none, where the store has them."""
    manner = settings.fingerprint()

    def look(case: Case) -> tuple[str, Floats | str | None]:
        key = _key(case, settings, manner)
        return key, _kept(store, key, case) if key else None

    looked = list(Threads(jobs).in_order(look, cases))
    return [key for key, _ in looked], [points for _, points in looked]


def _key(case: Case, settings: Settings, manner: str) -> str:
    """What landmarks of a photo are kept under; empty where it cannot be read, which reading it says."""
    try:
        digest = file_sha256(case.photo)
        stamp = settings.corrections.stamp(case.photo, digest) if settings.corrections else ""
    except (OSError, ValueError, InputError):
        return ""
    return json.dumps([_KEPT, manner, digest, stamp, *filter(None, [case.face_at])])


def _kept(store: Store, key: str, case: Case) -> Floats | str | None:
    """Landmarks, or why there are none, as the store has them."""
    kept = store.get(key) or {}
    if reason := kept_reason(kept):
        return f"{case.photo}: {reason}"
    points = kept.get("points")
    whole = (
        points is not None and points.shape == (68, 2) and points.dtype == float and np.isfinite(points).all()
    )
    return points if whole else None


def _keep(store: Store, key: str, case: Case, points: Floats | str | Lost) -> None:
    if isinstance(points, str):
        why = points.removeprefix(f"{case.photo}: ").encode()
        store.put(key, {"reason": np.frombuffer(why, dtype=np.uint8)})
    elif not isinstance(points, Lost):
        store.put(key, {"points": np.asarray(points, dtype=float)})


@dataclass(frozen=True, slots=True)
class _Landmarks:
    """The work on one photo."""

    settings: Settings

    def prepare(self) -> None:
        """Read what every photo needs."""
        get_ready(self.settings)

    def __call__(self, case: Case) -> Floats | str:
        """Corrected landmarks (68, 2) of a photo's face, or why there are none that are of the face."""
        try:
            face = observe(case.photo, self.settings.at_face(case.face_at)).face
            hidden = np.flatnonzero(face.hidden).tolist()
            if len(hidden) > _PREDICTED:
                unseen = hidden_words(hidden)
                advice = "A composite needs the whole face, or the hidden landmarks placed by hand."
                return f"{case.photo}: {unseen}. {advice}"
            return anatomy.place(face)[0]
        except (PhotoError, FaceError) as error:
            return str(error)


# ------------------------------------------------------------------------------------------------ shapes


def align(points: Floats, weights: Floats | None = None) -> Floats:
    """Shapes laid on their mean shape: freed of place, size and turn.

    Parameters
    ----------
    points : (n, 68, 2) array
    weights : (n,) array, optional
        How much each counts for the mean shape.

    Returns
    -------
    (n, 68, 2) array
        All of the same centroid size, in the frame of their mean shape: x along its eye line towards the
        subject's left, y down, about the middle of its outer canthi, whose distance is 1.

    Notes
    -----
    Procrustes analysis of plane shapes has a closed form: points as complex numbers, centred and of length 1,
    have the first eigenvector of their sum of products as their full Procrustes mean [1]_.

    References
    ----------
    .. [1] Kent, "The complex Bingham distribution and shape analysis", J R Stat Soc B 56:285 (1994).

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.face.shape import shapes
    >>> from anthropo.groups import align
    >>> face = shapes()[0]
    >>> small, large = align(np.array([face, 3 * face + 100]))
    >>> np.allclose(small, large), np.allclose(large[45] - large[36], [1, 0])
    (True, True)
    """
    z = points[..., 0] + 1j * points[..., 1]
    z = z - z.mean(1, keepdims=True)
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    w = np.ones(len(z)) if weights is None else weights
    mean = np.linalg.eigh(np.einsum("n,np,nq->pq", w, z, z.conj()))[1][:, -1]
    towards = z.conj() @ mean
    z = z * (towards / np.abs(towards))[:, None]
    middle, along = (mean[36] + mean[45]) / 2, mean[45] - mean[36]
    z = (z - middle) / along
    return np.stack([z.real, z.imag], -1)


def label_shapes(sitters: Sequence[Sitter]) -> list[LabelShapes]:
    """The shapes of each label's people, aligned to the mean shape of everybody; labels by name."""
    photos = Counter((sitter.label, sitter.patient) for sitter in sitters)
    weights = np.array([1 / photos[s.label, s.patient] for s in sitters])
    aligned = align(np.array([s.points for s in sitters]), weights)
    by_person: dict[str, dict[str, list[Floats]]] = {}
    for sitter, shape in zip(sitters, aligned, strict=True):
        by_person.setdefault(sitter.label, {}).setdefault(sitter.patient, []).append(shape)
    return [
        LabelShapes(label, sum(map(len, people.values())), np.array([np.mean(s, 0) for s in people.values()]))
        for label, people in sorted(by_person.items())
    ]


def displacement(
    group: LabelShapes, controls: LabelShapes, *, permutations: int = 5000, seed: int = 0
) -> Displacement:
    """The mean shape of a label compared with that of the controls, landmark by landmark.

    Parameters
    ----------
    group, controls : LabelShapes
        In one frame: from the same call of `align`.
    permutations : int
        How often the people are dealt to the two groups anew.
    seed : int

    Returns
    -------
    Displacement
        p-values of Hotelling's T² between people. Adjusted: the share of permutations in which the largest
        T² of any landmark is as large [1]_, so that 0.05 is the risk of a single false landmark among the
        68.

    Notes
    -----
    T² grows with the mean difference measured by the scatter of everybody, which a permutation leaves as it
    is; so that is what is permuted. A p-value is (b + 1) / (permutations + 1), never 0 [2]_.

    References
    ----------
    .. [1] Westfall & Young, "Resampling-based multiple testing", Wiley (1993).
    .. [2] Phipson & Smyth, "Permutation p-values should never be zero", Stat Appl Genet Mol Biol 9:39 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.face.shape import shapes
    >>> from anthropo.groups import LabelShapes, align, displacement
    >>> people = shapes()[0] + np.random.default_rng(0).normal(scale=0.01, size=(40, 68, 2))
    >>> people[:20, 8, 1] += 0.1  # a longer chin
    >>> aligned = align(people)
    >>> affected, control = LabelShapes("a", 20, aligned[:20]), LabelShapes("control", 20, aligned[20:])
    >>> moved = displacement(affected, control)
    >>> np.flatnonzero(moved.p_adjusted < 0.001).tolist()
    [8]
    """
    people = np.concatenate([group.shapes, controls.shapes])
    n, a = len(people), group.patients
    b = n - a
    vectors = group.mean - controls.mean
    centred = people - people.mean(0)
    scatter = np.einsum("npi,npj->pij", centred, centred)
    # x of scatter^(-1/2): a landmark that does not move at all says nothing
    values, axes = np.linalg.eigh(scatter)
    root = np.where(values > 1e-12, 1 / np.sqrt(np.maximum(values, 1e-12)), 0.0)
    white = np.einsum("npi,pij->npj", centred, axes) * root

    def distance(members: Floats) -> Floats:
        """(m, 68) squared mean difference for each row of who is in the group, (m, n) of 0 and 1."""
        inside = np.tensordot(members, white, 1)  # the outside is minus that: the sum is 0
        return np.asarray(((inside * (1 / a + 1 / b)) ** 2).sum(-1))

    weight = a * b / n
    observed = distance(np.r_[np.ones(a), np.zeros(b)][None])[0]
    t2 = (n - 2) * weight * observed / np.maximum(1 - weight * observed, 1e-12)
    random = np.random.default_rng(seed)
    higher, highest = np.zeros(len(observed)), np.zeros(len(observed))
    least = observed * (1 - 1e-9)  # the same deal may come out a rounding error lower
    for start in range(0, permutations, 500):
        drawn = random.random((min(500, permutations - start), n)).argsort(1) < a
        dealt = distance(drawn.astype(np.float64))
        higher += (dealt >= least).sum(0)
        highest += (dealt.max(1)[:, None] >= least).sum(0)
    p, p_adjusted = (higher + 1) / (permutations + 1), (highest + 1) / (permutations + 1)
    return Displacement(group.label, controls.label, vectors, t2, p, p_adjusted)


# ---------------------------------------------------------------------------------------------- pictures


def placed(shape: Floats, size: int) -> Floats:
    """A shape (68, 2) of `align` in the pixels of a picture of height `size`."""
    return (place(shape) + 0.5) * (size / PORTRAIT[0]) - 0.5


def unit_pixels(size: int) -> float:
    """The pixels of an outer-canthal distance in a picture of height `size`."""
    return float(np.ptp(placed(np.array([(0.0, 0.0), (1.0, 0.0)]), size)[:, 0]))


def inside_outline(points: Floats, grid: Floats) -> NDArray[np.bool_]:
    """Which places (h, w, 2) lie in the outline of points (p, 2), (h, w)."""
    from scipy.spatial import Delaunay

    return np.asarray(Delaunay(points).find_simplex(grid) >= 0)


def average_face(
    sitters: Sequence[Sitter],
    shape: Floats,
    *,
    size: int = 512,
    sharp: bool = False,
    jobs: int = 1,
    runner: Runner | None = None,
    on_progress: Callable[[], None] | None = None,
) -> Pixels:
    """The average of faces that are warped to one shape, each person counted once.

    Parameters
    ----------
    sitters : sequence of Sitter
        The photos are read again.
    shape : (68, 2) array
        In the units of `align`.
    size : int
        Height of the picture, pixels; its width is nine tenths of that.
    sharp : bool
        Restore what averaging takes away: detail is as strong as in the people's own photos.
    jobs : int
        Photos that are worked on at once.
    runner : Runner, optional
        Who works on them; chosen by `jobs` when left out.
    on_progress : callable, optional
        Called once for each photo.

    Returns
    -------
    (size, width, 3) uint8 array
        RGB. A photo counts only where it reaches; where those of fewer than six in ten people do, the
        picture is light grey, so that nobody's corner is shown.

    Raises
    ------
    PhotoError
        If a photo cannot be read again.

    Notes
    -----
    Details of different people do not lie on each other, however well landmarks do, and cancel out. With
    `sharp` each of the four finest bands of the average's brightness (differences of Gaussians [1]_) is made
    as strong, place by place, as that band is on average in the single faces, as in [2]_, but with Gaussian
    bands in place of wavelets and around the landmarks only. Where hairs and wrinkles then lie is chance;
    that there are as many is not.

    References
    ----------
    .. [1] Burt & Adelson, "The Laplacian pyramid as a compact image code", IEEE Trans Commun 31:532 (1983).
    .. [2] Tiddeman, Burt & Perrett, "Prototyping and transforming facial textures for perception research",
       IEEE Computer Graphics and Applications 21(5):42 (2001).

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.groups import Sitter, align, average_face
    >>> photo = anthropo.example_photo()
    >>> points = anthropo.observe(photo, anthropo.Settings(jitter=1, fine=False)).face.landmarks
    >>> average_face([Sitter(photo, "astronaut", "p1", points)], align(points[None])[0], size=100).shape
    (100, 90, 3)
    """
    height, width = size, round(size * PORTRAIT[1] / PORTRAIT[0])
    mesh = Mesh(placed(shape, size), (height, width))
    photos = Counter(sitter.patient for sitter in sitters)
    total = np.zeros((height, width, 3))
    people = np.zeros((height, width))
    strength = np.zeros((_BANDS, height, width))
    work = partial(_warped, mesh=mesh, unit=unit_pixels(size), sharp=sharp)
    warped = choose(jobs, len(sitters), runner).in_order(work, sitters)
    for sitter, result in zip(sitters, warped, strict=True):
        pixels, reached, bands = unless_lost(result, sitter.photo)
        counts = reached / photos[sitter.patient]
        total += counts[..., None] * pixels
        people += counts
        if bands is not None:
            strength += counts * bands
        if on_progress:
            on_progress()
    some = np.maximum(people, 1e-9)
    average = total / some[..., None]
    if sharp:
        average = _sharpened(average, strength / some, mesh.shape, unit_pixels(size))
    shown = ((people / len(photos) - _FEW) / (_MOST - _FEW)).clip(0, 1)[..., None]
    average = shown * average + (1 - shown) * _PAPER
    return np.asarray(np.rint(average).clip(0, 255), dtype=np.uint8)


def _warped(
    sitter: Sitter, mesh: Mesh, unit: float, sharp: bool
) -> tuple[Pixels, NDArray[np.bool_], NDArray[np.float32] | None]:
    """A photo warped to a mesh, which pixels it reaches, and how strong its bands of detail are there."""
    photo = read_photo(sitter.photo, short_side=FIRST_DECODE, max_megapixels=None)
    photo = photo.finer(power_of_two(outer_canthal_distance(sitter.points) / unit))
    points = photo.to_decoded(sitter.points)
    pixels, inside = mesh.warp_within(photo.pixels, points)
    bands = _strength(_bands(_grey(pixels), unit), unit) if sharp else None
    return pixels, inside, bands


def _grey(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """Luma (BT.601) of RGB."""
    return np.asarray(pixels.astype(np.float32) @ np.array(LUMA, dtype=np.float32))


def _bands(plane: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
    """The finest bands of a plane (bands, h, w): differences of Gaussians, each twice as wide."""
    from scipy.ndimage import gaussian_filter

    levels = [plane]
    levels += [gaussian_filter(plane, _FINEST * unit * 2**k, mode="nearest") for k in range(_BANDS)]
    return np.stack([a - b for a, b in pairwise(levels)])


def _strength(bands: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
    """Root mean square of each band around each pixel."""
    from scipy.ndimage import gaussian_filter

    widths = [_NEIGHBOURHOOD * _FINEST * unit * 2**k for k in range(len(bands))]
    pairs = zip(bands, widths, strict=True)
    return np.sqrt([gaussian_filter(band**2, width, mode="nearest").clip(0) for band, width in pairs])


def _sharpened(average: Floats, strength: Floats, shape: Floats, unit: float) -> Floats:
    """The average with each band of its brightness as strong as given, around the landmarks."""
    bands = _bands(_grey(average), unit)
    gain = (strength / np.maximum(_strength(bands, unit), 1e-3)).clip(1, _MOST_GAIN)
    detail = ((gain - 1) * bands).sum(0) * _known(shape, average.shape[:2], unit)
    return np.asarray(average + detail[..., None])


def _known(shape: Floats, size: tuple[int, ...], unit: float) -> Floats:
    """1 where landmarks lay faces on each other, falling to 0 around them."""
    from scipy.ndimage import gaussian_filter

    middle = (shape.min(0) + shape.max(0)) / 2
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    inside = inside_outline(middle + _KNOWN * (shape - middle), np.stack([columns, rows], -1))
    return np.asarray(gaussian_filter(inside.astype(np.float64), _SOFT * unit))


def common_shape(groups: Sequence[LabelShapes]) -> Floats:
    """The mean (68, 2) of mean shapes, each label counted once."""
    return np.asarray(np.mean([group.mean for group in groups], axis=0))
