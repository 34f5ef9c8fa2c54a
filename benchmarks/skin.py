"""Photographs without a face: the classifier on pictures of skin, by encoder.

    python benchmarks/skin.py FOLDER [--folds 5] [--splits 5] [--encoder efficientnet-lite0 face-resnet]

FOLDER holds photographs and a labels.csv (photo or image, label, patient). AUROC of the second label, with
the 95 % interval of one split and the range over several; and once more without the photos whose corners are
black. Those were taken through a dermatoscope whose ring shows, which may go with the label.
"""

from __future__ import annotations

import numpy as np
from hybrid import judging_options, labelled

from anthropo.encoder.encoders import load_encoder
from anthropo.encoder.regions import middle_square
from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.features import Features, extract, subset
from anthropo.learning.judging import cross_validate
from anthropo.learning.metrics import judge
from anthropo.learning.model import Options
from anthropo.photo import read_photo
from anthropo.settings import Settings

BLACK = 40  # grey levels


def ringed(path: str) -> bool:
    """Whether all four corners are black."""
    corners = middle_square(read_photo(path, short_side=64), 32)[[0, 0, -1, -1], [0, -1, 0, -1]]
    return bool((corners.mean(1) < BLACK).all())


def figures(features: Features, folds: int, splits: int) -> str:
    positive = sorted(set(features.labels.tolist()))[1]
    found = []
    for seed in range(splits):
        judged = cross_validate(
            features, Options(positive=positive, seed=seed), folds=folds, repeats=1, baselines=False
        )
        found.append(judge(judged.questions[0].models["hybrid"], positive, bootstrap=1000)["auroc"])
    first, values = found[0], [f.value for f in found]
    own = int((features.labels == positive).sum())
    return (
        f"{len(features)}, {own} {positive} | {first.value:.3f} ({first.lo:.3f} to {first.hi:.3f}) | "
        f"{min(values):.3f} to {max(values):.3f}"
    )


def main() -> None:
    parser = judging_options(__doc__, splits=5)
    parser.add_argument("--encoder", nargs="+", default=["efficientnet-lite0", "face-resnet"])
    arguments = parser.parse_args()
    rows = labelled(arguments.folder)
    cases = tuple(Case(photo, row["label"], row.get("patient") or photo) for photo, row in rows.items())
    cohort = Cohort(cases, str(arguments.folder))
    ring = np.array([ringed(case.photo) for case in cases])
    print(f"| encoder | photos | AUROC | over {arguments.splits} splits |")
    print("|---|---|---|---|")
    for name in arguments.encoder:
        features = extract(cohort, Settings(no_face=True), load_encoder(name), jobs=2)
        own = ring[[photo in set(features.photos.tolist()) for photo in (c.photo for c in cases)]]
        print(f"| {name} | {figures(features, arguments.folds, arguments.splits)} |")
        rest = subset(features, ~own)
        print(f"| {name}, no black corners | {figures(rest, arguments.folds, arguments.splits)} |")


if __name__ == "__main__":
    main()
