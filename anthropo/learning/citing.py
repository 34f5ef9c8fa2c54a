"""The works that a methods paragraph cites, and what is said alike of every photograph."""

from __future__ import annotations

_KING = "King DE (2009). Dlib-ml: a machine learning toolkit. J Mach Learn Res 10:1755-1758."
_KAZEMI = (
    "Kazemi V, Sullivan J (2014). One millisecond face alignment with an ensemble of regression trees. CVPR."
)
_SAGONAS = "Sagonas C et al. (2013). 300 Faces in-the-Wild challenge. ICCV Workshops."
LONDON = (
    "DeBruine L, Jones B (2017). Face Research Lab London Set. figshare, doi:10.6084/m9.figshare.5047666."
)
_YOUNG = "DeBruine L, Jones B. Young Adult White Faces. figshare, 4220517."


class Works:
    """Works in the order in which a text names them.

    Examples
    --------
    >>> from anthropo.learning.citing import Works
    >>> works = Works()
    >>> works.cite("King 2009"), works.cite("Farkas 2005", "King 2009")
    ('[1]', '[2, 1]')
    >>> print(works.text(["It was done [1]."]), end="")
    It was done [1].
    <BLANKLINE>
    1. King 2009
    2. Farkas 2005
    """

    def __init__(self) -> None:
        self._named: list[str] = []

    def cite(self, *works: str) -> str:
        """The numbers of works, in brackets."""
        self._named += [work for work in works if work not in self._named]
        return f"[{', '.join(str(self._named.index(work) + 1) for work in works)}]"

    def anthropo(self, version: str) -> str:
        """The number of anthropo itself."""
        return self.cite(f"anthropo {version} [the repository's address].")

    def landmarks(self, *, jitter: int | str, fine: bool) -> str:
        """How landmarks are found, as half a sentence."""
        refined = ", refined in high-resolution patches" if fine else ""
        return (
            "Sixty-eight landmarks were placed by a cascade of regression trees "
            f"{self.cite(_KING, _KAZEMI, _SAGONAS)}, as the mean of {jitter} evaluations on jittered and "
            f"mirrored crops{refined}, and corrected to anatomical places {self.cite(LONDON, _YOUNG)}."
        )

    def text(self, sentences: list[str]) -> str:
        """The paragraph, and below it the list of works."""
        listed = "\n".join(f"{number}. {work}" for number, work in enumerate(self._named, 1))
        return f"{' '.join(filter(None, sentences))}\n\n{listed}\n"


def joined(words: list[str]) -> str:
    """Such as "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
