from .encoder.encoders import load_encoder as load_encoder
from .errors import AnthropoError as AnthropoError
from .errors import FaceError as FaceError
from .errors import InputError as InputError
from .errors import ModelError as ModelError
from .errors import PhotoError as PhotoError
from .errors import WeightsError as WeightsError
from .face.landmarker import Face as Face
from .face.landmarker import read_face as read_face
from .face.landmarker import read_faces as read_faces
from .learning.cohort import read_cohort as read_cohort
from .learning.features import extract as extract
from .learning.features import feature_frame as feature_frame
from .learning.hybrid import HybridClassifier as HybridClassifier
from .learning.judging import cross_validate as cross_validate
from .learning.model import Options as Options
from .learning.trained import Trained as Trained
from .learning.training import make_trained as make_trained
from .measurement.compute import Measurement as Measurement
from .measurement.compute import measure_face as measure_face
from .measurement.pooling import Pooled as Pooled
from .measurement.pooling import pool as pool
from .measurement.registry import registry as registry
from .observation import Observation as Observation
from .observation import observe as observe
from .observation import observe_all as observe_all
from .photo import Photo as Photo
from .photo import example_photo as example_photo
from .photo import read_photo as read_photo
from .settings import Settings as Settings
from .workflows.cohort import CohortError as CohortError
from .workflows.cohort import PhotoReading as PhotoReading
from .workflows.cohort import TrainRequest as TrainRequest
from .workflows.composite import CompositeRequest as CompositeRequest
from .workflows.composite import CompositeResult as CompositeResult
from .workflows.composite import composite as composite
from .workflows.evaluate import EvaluateResult as EvaluateResult
from .workflows.evaluate import evaluate as evaluate
<<<<<<< HEAD
from .workflows.map import MapRequest as MapRequest
from .workflows.map import MapResult as MapResult
from .workflows.map import map_faces as map_faces
=======
from .workflows.explain import ExplainRequest as ExplainRequest
from .workflows.inspect import Inspection as Inspection
from .workflows.inspect import inspect as inspect
>>>>>>> main
from .workflows.measure import measure as measure
from .workflows.measure import measure_table as measure_table
from .workflows.measure import patient_table as patient_table
from .workflows.model import Model as Model
from .workflows.model import load_model as load_model
from .workflows.train import TrainResult as TrainResult
from .workflows.train import train as train
from .workflows.traits import TraitsRequest as TraitsRequest
from .workflows.traits import traits as traits

__version__: str
