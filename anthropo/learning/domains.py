"""The sites of a cohort, such as clinics and cameras, and what brings their photos to those of a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from anthropo.adaptation import Affine, alignment_maps
from anthropo.adaptation.methods import Map
from anthropo.errors import InputError, ModelError
from anthropo.learning.features import Features
from anthropo.learning.judged import Floats
from anthropo.learning.model_readers import record
from anthropo.learning.schema import NOTHING, Arrays, Names, taken
from anthropo.learning.states import MIXED, SINGLE, DomainState

#: The block of measurements among those of regions, which are called as these.
MEASUREMENTS = "measurements"
#: The site of photos of which none is known.
ONE = "training"
_FEWEST = 2  # photos of a site in a fold, below which they stay as they are

Maps = Mapping[str, Map | None]  # by block


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Domains:
    """What brings photos of each site to what the model reads.

    Photos of the target, and of sites that are not known, are mapped as the target's.
    """

    method: str
    sites: Mapping[str, Maps]
    target: Maps  # of the target's photos; None for each block that stays as it is
    unmapped: tuple[str, ...] = ()  # sites of the training that have no map in a file

    @classmethod
    def fit(cls, features: Features, method: str, target: Features | None = None) -> Domains:
        """Maps of the sites of these photos, which become like a target's, or like their mean without one."""
        sites = marked(features).sites
        assert sites is not None
        counts = Counter(sites.tolist())
        names = sorted(name for name, n in counts.items() if n >= _FEWEST)
        maps: dict[str, dict[str, Map | None]] = {name: {} for name in counts}
        ends: dict[str, Map | None] = {}
        there = {} if target is None else _blocks(target)
        for block, rows in _blocks(features).items():
            named = block == MEASUREMENTS
            aligned = alignment_maps(
                method, {name: rows[sites == name] for name in names}, there.get(block), named=named
            )
            ends[block] = _single(aligned.target)
            for name, of in aligned.sources.items():
                maps[name][block] = _single(of)
        return cls(method=method, sites=maps, target=ends)

    def apply(self, features: Features) -> Features:
        """The photos as the model reads them."""
        names = np.full(len(features), "") if features.sites is None else features.sites
        measurements = np.array(features.measurements)
        regions = {name: np.array(embedding) for name, embedding in features.regions.items()}
        for name in dict.fromkeys(names.tolist()):
            if name in self.unmapped:
                raise InputError(
                    f"Photos of {name}: the model was trained for photos of its target, and has no map for "
                    f"those of {name}, where it was trained ({self.method} keeps none). Leave the site out "
                    "to have them taken as the target's."
                )
            rows = names == name
            for block, of in self.sites.get(name, self.target).items():
                if of is None:
                    continue
                if block == MEASUREMENTS:
                    measurements[rows] = of(measurements[rows])
                elif block in regions:
                    regions[block][rows] = of(regions[block][rows])
        return replace(features, measurements=measurements, regions=regions)

    def maps_of(self, site: str) -> Maps:
        """The maps of a photo of a site."""
        return self.sites.get(site, self.target)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The maps as JSON and arrays of numbers, for a model file."""
        places: dict[str, Maps] = {"": self.target, **self.sites}
        kept = {
            name: {block: of for block, of in maps.items() if of is not None}
            for name, maps in places.items()
            if all(of is None or isinstance(of, Affine) for of in maps.values())
        }
        unmapped = [*self.unmapped, *(name for name in places if name not in kept)]
        described, arrays = [], {}
        for at, (name, maps) in enumerate(kept.items()):
            blocks = {block: len(of.offset) for block, of in maps.items() if isinstance(of, Affine)}
            mixed = [b for b, of in maps.items() if isinstance(of, Affine) and of.matrix.ndim == 2]
            described.append({"site": name, "blocks": blocks, "mixed": mixed})
            for place, block in enumerate(blocks):
                of = maps[block]
                assert isinstance(of, Affine)
                arrays[f"{at}/{place}/matrix"] = of.matrix.astype(np.float32)
                arrays[f"{at}/{place}/offset"] = of.offset.astype(np.float32)
        return {"method": self.method, "places": described, "unmapped": unmapped}, arrays

    @classmethod
    def from_state(
        cls, meta: Any, arrays: Arrays, sizes: Mapping[str, int], names: Names = NOTHING
    ) -> Domains:
        """The maps of which `state` made these; `sizes` are the lengths of the blocks."""
        state = record(DomainState, meta, "domains", names)
        places: dict[str, Maps] = {}
        for at, place in enumerate(state.places):
            if place.site in places or place.site in state.unmapped:
                raise ModelError("it has two maps of one site")
            maps: dict[str, Map | None] = dict.fromkeys(sizes)
            for number, (block, d) in enumerate(place.blocks.items()):
                if sizes.get(block) != d:
                    raise ModelError(f"its map of {block} is of another length")
                if block == MEASUREMENTS and block in place.mixed:
                    raise ModelError("it mixes measurements")
                wanted = MIXED if block in place.mixed else SINGLE
                maps[block] = Affine(**taken(arrays, wanted, {"d": d}, f"{at}/{number}/"))
            places[place.site] = maps
        target = places.pop("", dict.fromkeys(sizes))
        return cls(method=state.method, sites=places, target=target, unmapped=state.unmapped)


def marked(features: Features) -> Features:
    """Photos with a site each, the same for all where none is known."""
    return features if features.sites is not None else replace(features, sites=np.full(len(features), ONE))


def adapted(
    train: Features, test: Features, method: str, target: Features | None
) -> tuple[Features, Features]:
    """Photos to learn from and to judge as a model reads them, fitted to the former and a target's."""
    if method == "none":
        return train, test
    domains = Domains.fit(train, method, target)
    return domains.apply(train), domains.apply(test)


def _blocks(features: Features) -> dict[str, Floats]:
    """Numbers of each region (n, d), and the measurements."""
    out = {name: np.asarray(of, dtype=np.float64) for name, of in features.regions.items()}
    return out | ({MEASUREMENTS: features.measurements} if features.measurement_ids else {})


def _single(of: Map | None) -> Map | None:
    """A map in single precision, as it is kept in a model file."""
    if not isinstance(of, Affine):
        return of
    matrix, offset = (np.asarray(a, dtype=np.float32).astype(np.float64) for a in (of.matrix, of.offset))
    return Affine(matrix, offset)
