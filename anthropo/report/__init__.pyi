from .answers import write_answers as write_answers
from .change import write_change as write_change
from .evaluation import write_evaluation as write_evaluation
from .explanation.document import Disclosure as Disclosure
from .explanation.page import write_explanation as write_explanation
from .figures import overlay as overlay
from .traits import write_traits as write_traits
from .validation import write_validation as write_validation
