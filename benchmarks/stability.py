"""Stability of explanations: do the first measurements stay first, and does what is stable keep its sign?

    python benchmarks/stability.py FOLDER [--people 40 80 160] [--cache DIR] [--jobs 2]

FOLDER as for benchmarks/hybrid.py; the tasks are sex, and age up to 12. So many people of each label are
drawn, again and again, and a model is trained on them and judged, as `anthropo train` does. Another model is
trained on as many others. Both explain the same new people. A contribution that is shown (each region, and
the ten largest measurements of each person) keeps its sign, turns it, or is of a region that the other model
does not use.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from hybrid import read, tasks

from anthropo.encoder.encoders import load_encoder
from anthropo.encoder.regions import DEFAULT_REGIONS
from anthropo.explanation.contributions import Contribution, Explanation, explain_features
from anthropo.learning.features import Features, subset
from anthropo.learning.judging import cross_validate
from anthropo.learning.model import Options
from anthropo.learning.trained import Trained
from anthropo.learning.training import make_trained
from anthropo.settings import Settings

SHOWN = 10
NEW = 60  # people of each label who are explained
DRAWS = 400  # over the number of people of each label


def trained(features: Features, *, refits: bool, jobs: int) -> Trained:
    """A model as `anthropo train` makes it, with refits or without."""
    options = Options(positive="yes", regions=DEFAULT_REGIONS)
    kept = ()
    if refits:
        kept = cross_validate(features, options, baselines=False, keep_refits=True, jobs=jobs).refits
    return make_trained(features, options, "labels", load_encoder(), Settings(face="largest"), refits=kept)


def shown(explanation: Explanation) -> list[Contribution]:
    """The contributions that a report shows one by one."""
    (of,) = explanation.labels
    return [c for c in (*of.of("region"), *of.of("measurement")[:SHOWN]) if c.log_odds]


def same_sign(c: Contribution) -> bool:
    """Whether no refit turns the sign."""
    return c.range is not None and c.range[0] * c.range[1] > 0


def bytes_of(model: Trained) -> int:
    """The size of its file."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(path := Path(folder) / "m.anthropo")
        return path.stat().st_size


def share(counts: dict[str, int], what: str) -> str:
    """A share of what was counted, in %."""
    total = sum(counts.values())
    return f"{100 * counts[what] / total:.0f} %" if total else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, nargs="+", default=[40, 80, 160])
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    features, rows = read(arguments.folder, arguments.jobs, arguments.cache)
    _, one_each = np.unique(features.patients, return_index=True)
    features, rows = subset(features, one_each), [rows[i] for i in one_each]
    wanted = {name: of for name, of in tasks(rows).items() if name in ("sex (male)", "age ≤ 12")}
    print(
        "| task | people per label | draws | refits | of the top five stay | kind | stable | kept, turned | "
        "pale: kept, turned | no sign turned | kept, turned | MB more |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for task, positive in wanted.items():
        for n in arguments.people:
            features.labels[:] = labels = np.where(positive, "yes", "no")
            if min(positive.sum(), (~positive).sum()) < 2 * n + NEW / 2:
                continue
            draws = max(2, DRAWS // n)
            overlaps, grown, refits = [], [], set()
            counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
            for draw in range(draws):
                random = np.random.default_rng(draw)
                sides = [random.permutation(np.flatnonzero(labels == label)) for label in ("no", "yes")]
                cohorts = [
                    subset(features, np.concatenate([side[a:b] for side in sides]))
                    for a, b in ((0, n), (n, 2 * n), (2 * n, 2 * n + NEW))
                ]
                first, second, new = cohorts
                model = trained(first, refits=True, jobs=arguments.jobs)
                other = trained(second, refits=False, jobs=arguments.jobs)
                overlaps.append(model.manifest.refits.overlap)
                refits.add(model.manifest.refits.number)
                if not draw:
                    grown.append(bytes_of(model) - bytes_of(trained(first, refits=False, jobs=1)))
                pairs = zip(*(explain_features(m, new, ["yes"]) for m in (model, other)), strict=True)
                for one, again in pairs:
                    there = {c.name: c.log_odds for c in again.labels[0].contributions}
                    for c in shown(one):
                        product = c.log_odds * there[c.name]
                        what = "kept" if product > 0 else "turned" if product < 0 else "unused"
                        counts[c.kind, "stable" if c.stable else "pale"][what] += 1
                        counts[c.kind, "same sign" if same_sign(c) else "crosses"][what] += 1
            for kind in ("measurement", "region"):
                of = {name: counts[kind, name] for name in ("stable", "pale", "same sign", "crosses")}
                total = sum(of["stable"].values()) + sum(of["pale"].values())
                print(
                    f"| {task} | {n} | {draws} | {', '.join(map(str, refits))} | {np.mean(overlaps):.2f} "
                    f"({min(overlaps):.2f} to {max(overlaps):.2f}) | {kind} | "
                    f"{100 * sum(of['stable'].values()) / total:.0f} % | "
                    f"{share(of['stable'], 'kept')}, {share(of['stable'], 'turned')} | "
                    f"{share(of['pale'], 'kept')}, {share(of['pale'], 'turned')} | "
                    f"{100 * sum(of['same sign'].values()) / total:.0f} % | "
                    f"{share(of['same sign'], 'kept')}, {share(of['same sign'], 'turned')} | "
                    f"{grown[0] / 1e6:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
