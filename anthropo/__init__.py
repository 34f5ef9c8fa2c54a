"""anthropo: measures a face photograph the way a clinical geneticist reads it, and says why.

Research use only; not a medical device.
"""

import lazy_loader as _lazy

from anthropo._version import __version__ as __version__

# The names that __init__.pyi lists, each imported when it is first used. They stand here as well, since
# reading that file takes three times as long as all else that `import anthropo` does.
_WHERE = {
    "encoder.encoders": ["load_encoder"],
    "errors": ["AnthropoError", "FaceError", "InputError", "ModelError", "PhotoError", "WeightsError"],
    "face.landmarker": ["Face", "read_face", "read_faces"],
    "learning.cohort": ["read_cohort"],
    "learning.features": ["extract", "feature_frame"],
    "learning.hybrid": ["HybridClassifier"],
    "learning.identity": ["find_same_people"],
    "learning.judging": ["cross_validate"],
    "learning.model": ["Options"],
    "learning.trained": ["Trained"],
    "learning.training": ["make_trained"],
    "licensing": ["LicenceError", "licences", "permissive"],
    "measurement.compute": ["Measurement", "Measurements", "measure_face"],
    "measurement.pooling": ["Pooled", "pool"],
    "measurement.registry": ["Registry", "registry"],
    "networks.network": ["Network"],
    "observation": ["Observation", "observe", "observe_all"],
    "parallel.cluster": ["Cluster"],
    "photo": ["Photo", "example_photo", "read_photo"],
    "settings": ["Settings"],
    "workbench.server": ["Workbench", "serve"],
    "workflows.attributes": ["ComparedAttributes", "compare_attributes"],
    "workflows.bench": ["bench_networks"],
    "workflows.change": ["ChangeRequest", "ChangeResult", "change"],
    "workflows.change_cohort": ["CohortChange", "change_cohort"],
    "workflows.cohort": ["CohortError", "PhotoReading", "TrainRequest", "gather"],
    "workflows.comparison": ["compare_networks"],
    "workflows.composites": ["CompositeRequest", "CompositeResult", "composite"],
    "workflows.demonstration": ["Demo", "demo"],
    "workflows.evaluate_result": ["EvaluateResult"],
    "workflows.evaluation": ["evaluate"],
    "workflows.examining": ["Examination", "examine"],
    "workflows.explain": ["ExplainRequest"],
    "workflows.export": ["export_network"],
    "workflows.finetuning": ["FinetuneRequest", "finetune"],
    "workflows.inspection": ["Inspection", "inspect"],
    "workflows.installation": ["Installation", "doctor"],
    "workflows.landmarks": [
        "LandmarkEvaluation",
        "LandmarkTraining",
        "LandmarkTrainRequest",
        "evaluate_landmarks",
        "train_landmarks",
    ],
    "workflows.map": ["MapRequest", "MapResult", "map_faces"],
    "workflows.measuring": ["measure", "measure_table", "patient_table"],
    "workflows.model": ["Model", "load_model"],
    "workflows.network_model": ["NetworkModel"],
    "workflows.own_measurements": ["CheckedRegistry", "check_registry"],
    "workflows.regions": ["RegionsRequest", "RegionsResult", "distinguish"],
    "workflows.training": ["TrainResult", "train"],
    "workflows.trait_calling": ["TraitsRequest", "traits"],
    "workflows.translation": ["TranslationRequest", "train_translation", "translate"],
    "workflows.weights": ["models"],
    "workflows.manifest": ["record_run", "verify"],
    "workflows.run_methods": ["methods_of_run"],
}
__getattr__, __dir__, __all__ = _lazy.attach(__name__, submod_attrs=_WHERE)
