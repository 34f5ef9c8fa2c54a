from __future__ import annotations

from dataclasses import replace

import numpy as np
from simulated import simulated

from anthropo.encoder.portrait import PORTRAIT
from anthropo.face.shape import shapes
from anthropo.learning.features import subset
from anthropo.learning.profile import Profile


def test_each_person_counts_alike_in_the_average_face() -> None:
    features = simulated({"noonan": 12}, photos=3)
    names = sorted(set(features.patients.tolist()))
    # four people have three photos, the others one
    first = np.unique(features.patients, return_index=True)[1]
    features = subset(features, np.isin(features.patients, names[:4]) | np.isin(np.arange(36), first))
    assert len(features) == 4 * 3 + 8
    grey = np.where(np.isin(features.patients, names[:4]), 200, 50)
    faces = np.broadcast_to(grey[:, None, None, None], (len(features), *PORTRAIT, 3)).astype(np.uint8)
    own = np.broadcast_to(shapes()[0], (len(features), 68, 2)).astype(np.float32)
    profile = Profile.fit(replace(features, portraits=faces, shapes=own), [("noonan",)] * len(features))
    assert profile.composites is not None
    assert (profile.composites[0] == (4 * 200 + 8 * 50) // 12).all()  # of photos it would be 140
