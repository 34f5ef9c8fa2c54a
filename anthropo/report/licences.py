"""The page docs/licences.md.

python -m anthropo.report.licences docs
"""

from __future__ import annotations

import sys
from pathlib import Path

from anthropo.files import write
from anthropo.licensing import Resource, licences

_HEAD = """# Licences

In short: anthropo's own code is under the BSD 3-Clause licence. The weights that find faces and landmarks
were trained on photographs that exclude commercial use or state no licence, so take whatever looks at faces
as for research only. Pictures without a face can be worked on with permissive parts alone. This is no legal
advice.

The [table](#what-is-used) has the licences of code, of trained weights, and of what these were trained on or
made from. `anthropo models` prints it; both are made from `anthropo/licences.csv`. Libraries under permissive
licences that only compute, draw or read tables (numpy, scipy, pandas, Pillow, matplotlib, click and others)
are left out. Not permissive is what excludes some use (above all commercial use), obliges others to take
over a licence (GPL, LGPL, AGPL), may not be altered, or states no licence.

## May a company use it?

- **Faces: no.** Every command that looks at a face needs weights or data that exclude commercial use:
  landmarks-68, fine-landmarks, visibility, generic-face, landmark-errors and others below. The encoders
  face-resnet and efficientnet-lite0 were published under free licences, but trained on photographs for
  research, so they count as not permissive here.
- **Pictures without a face: yes,** with `--permissive` and a network of your own that was trained from no
  other weights.
- **anthropo's code and dlib: yes,** under the BSD 3-Clause and the Boost licence.

## Permissive runs

`--permissive` on every command but inspect, verify, models, doctor and completion, `ANTHROPO_PERMISSIVE=1`
and `anthropo.permissive()` use only what is permissive in all three respects. Nothing that comes with
anthropo finds a face under such licences. A permissive run therefore refuses whatever looks at faces, with
one sentence at its start, and a landmark model of your own does not change that: it replaces one of five
parts. HEIC and video are refused as well. What remains is everything for pictures without a face
(`--no-face`): finetune, compare-networks, export, bench, train, classify, explain and evaluate, with a
network that was trained from no other weights:

    anthropo finetune skin.csv --recipe skin-five --no-face --warm-start none -o net.anthropo --permissive
    anthropo train skin.csv --no-face --encoder net.anthropo -o skin.anthropo --permissive
    anthropo evaluate skin.csv --no-face --encoder net.anthropo -o report.html --permissive

Every such run says so and lists what was left out: pages in their footer, JSON objects under `permissive`,
models in their card and manifest, and every output, tables and lists included, in OUTPUT.run.json beside it.
A model with a part that is not permissive says so in its card, and permissive runs refuse it. The licence of
your own photographs is yours to know.

## What is your own

A network of your own (`--encoder onnx:FILE`) has the licences that its sidecar states, and without a word
none: models that read it say so in their card. A permissive run takes it if the sidecar says
`permissive = true` and why (`licence`, `data`); one that `anthropo export` wrote, as the network itself.

dlib's landmarks of five points come with the weights. They are in the public domain, but were trained on
photographs from the internet whose licences nobody states, and five points (corners of the eyes, base of the
nose) would give three ratios without head pose, photo gate or interval: anthropo does not measure with them.

## What is used

| name | kind | where | code | weights | training data, or source | permissive | used by |
|---|---|---|---|---|---|---|---|
"""


def markdown() -> str:
    """The page."""
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in map(row_of, licences()))


def row_of(one: Resource) -> tuple[str, ...]:
    """What the page and `anthropo models` say of a resource."""
    verdict = "yes" if one.permissive else f"no: {one.why}"
    return one.name, one.kind, one.place, one.code, one.weights, one.data, verdict, one.used_by


if __name__ == "__main__":
    write(Path(sys.argv[1]) / "licences.md", markdown())
