from .file import Translation as Translation
from .file import load_translation as load_translation
from .options import TranslationParameters as TranslationParameters
from .options import load_parameters as load_parameters
