from .inputs import Item as Item
from .inputs import collect as collect
from .patients import PatientRecord as PatientRecord
from .records import Record as Record
from .run import measure_item as measure_item
