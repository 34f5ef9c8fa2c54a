from .annotations import Annotated as Annotated
from .annotations import Annotations as Annotations
from .annotations import read_annotations as read_annotations
from .example import write_example as write_example
from .forest import ForestOptions as ForestOptions
from .judging import Placed as Placed
from .judging import place as place
