"""anthropo: measures a face photograph the way a clinical geneticist reads it, and says why.

Research use only; not a medical device.
"""

import lazy_loader as _lazy

from anthropo._version import __version__ as __version__

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "batch": ["Settings", "measure_table"],
        "encoder.encoders": ["load_encoder"],
        "errors": ["AnthropoError", "FaceError", "InputError", "ModelError", "PhotoError", "WeightsError"],
        "face.landmarker": ["Face", "read_face", "read_faces"],
        "learning.cohort": ["read_cohort"],
        "learning.features": ["extract", "feature_frame"],
        "learning.hybrid": ["HybridClassifier"],
        "learning.model": ["Options"],
        "learning.training": ["Trained", "cross_validate", "make_trained"],
        "measurement.compute": ["Measurement", "measure", "measure_face"],
        "measurement.pooling": ["Pooled", "pool"],
        "measurement.registry": ["registry"],
        "patients": ["patient_table"],
        "photo": ["Photo", "read_photo"],
    },
)
