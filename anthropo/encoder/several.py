"""Several encoders of one photo, each with regions of its own."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from anthropo.encoder.encoders import Encoder, count_seen
from anthropo.encoder.regions import DEFAULT_REGIONS
from anthropo.errors import InputError

AT = "@"  # between a region and the encoder that sees it
Asked = tuple[Encoder, tuple[str, ...], tuple[str, ...]]  # encoder, its regions, what features call them


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Encoders:
    """Several encoders whose embeddings a model reads side by side.

    Their regions are called ``REGION@ENCODER``, so that each has a score of its own in the model.

    Parameters
    ----------
    each : tuple of Encoder
        Two or more with different names.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.encoder.several import Encoders
    >>> both = Encoders(each=(anthropo.load_encoder("face-resnet"), anthropo.load_encoder("face-resnet")))
    Traceback (most recent call last):
    anthropo.errors.InputError: Two encoders are called face-resnet. Name each once, ...
    """

    each: tuple[Encoder, ...]

    def __post_init__(self) -> None:
        for name, times in Counter(one.name for one in self.each).items():
            if times > 1:
                raise InputError(
                    f"Two encoders are called {name}. Name each once, and give files different names."
                )

    @property
    def name(self) -> str:
        """Their names, with commas."""
        return ",".join(one.name for one in self.each)

    @property
    def digest(self) -> str:
        """SHA-256 of theirs."""
        return hashlib.sha256(" ".join(one.digest for one in self.each).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Of the largest of their pictures, px."""
        return max(one.size for one in self.each)

    @property
    def seen(self) -> frozenset[str]:
        """Beginnings of the SHA-256 of photos that any of them was trained on, as known."""
        return frozenset().union(*(one.seen for one in self.each))

    def has_seen(self, digests: Iterable[str]) -> int:
        """How many photos with these SHA-256 (hexadecimal) are among those that any was trained on."""
        return count_seen(digests, self.seen)

    @property
    def views(self) -> tuple[str, ...]:
        """Names of all regions; of an encoder that sees every one those that are taken unless others are."""
        return self.named({one.name: one.views or DEFAULT_REGIONS for one in self.each})

    def named(self, regions: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Names of the regions of each encoder."""
        return tuple(f"{region}{AT}{name}" for name, those in regions.items() for region in those)


AnyEncoder = Encoder | Encoders


def each_of(encoder: AnyEncoder) -> tuple[Encoder, ...]:
    """The encoder, or each of several."""
    return encoder.each if isinstance(encoder, Encoders) else (encoder,)


def asked_of(encoder: AnyEncoder, regions: Sequence[str]) -> tuple[Asked, ...]:
    """Which encoder sees which of some regions, and what features call these.

    Raises
    ------
    InputError
        If there is no such encoder.
    """
    if not isinstance(encoder, Encoders):
        return ((encoder, tuple(regions), tuple(regions)),)
    by_name: dict[str, list[str]] = {one.name: [] for one in encoder.each}
    for each in regions:
        region, _, name = each.partition(AT)
        if name not in by_name:
            raise InputError(
                f"region {each!r}: no such encoder. Regions of several encoders are called "
                f"REGION{AT}ENCODER; the encoders are {', '.join(by_name)}."
            )
        by_name[name].append(region)
    return tuple(
        (one, tuple(plain), tuple(f"{region}{AT}{one.name}" for region in plain))
        for one in encoder.each
        if (plain := by_name[one.name])
    )


def plain_region(region: str) -> str:
    """The region without the encoder that sees it."""
    return region.partition(AT)[0]


def encoder_of(region: str) -> str:
    """The encoder that sees a region, empty where there is one only."""
    return region.partition(AT)[2]
