"""Pictures that are no photographs: how they say so, in their metadata, and how that is found again.

The mark is IPTC's digital source type, in XMP, by which programs that make pictures mark them too: it stays
when a file is renamed, and most editors keep it.
"""

from __future__ import annotations

import re

from anthropo.files import open_regular

#: Of a picture that a trained network made, and of one put together from a portrait and what is made up.
GENERATED, COMPOSED = "trainedAlgorithmicMedia", "compositeSynthetic"
#: All that are no plain photograph.
SYNTHETIC = (GENERATED, COMPOSED, "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia")
#: Bytes at the beginning of a file in which the mark is looked for.
HEAD = 1 << 18

_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MARK = re.compile(rf"{re.escape(_TYPES.removeprefix('http'))}({'|'.join(SYNTHETIC)})\b".encode())
_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def synthetic_source(data: bytes) -> str:
    """The digital source type that a file's beginning states, if that is one of `SYNTHETIC`; else empty."""
    match = _MARK.search(data, 0, HEAD)
    return match[1].decode() if match else ""


def synthetic_file(path: str) -> str:
    """The same of a file that may not be there, or not be readable."""
    try:
        with open_regular(path, most=None) as file:
            return synthetic_source(file.read(HEAD))
    except (OSError, ValueError):
        return ""


def synthetic_sentence(source: str) -> str:
    """What is said of a picture with this mark."""
    return f"a synthetic picture by its metadata ({source}), not a photo of a person."


def xmp(source: str, description: str, tool: str) -> str:
    """An XMP packet that says what a picture is."""
    from html import escape  # here, since few pictures are written, and it loads all names of characters

    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'xmp:CreatorTool="{escape(tool)}" Iptc4xmpExt:DigitalSourceType="{_TYPES}{source}">'
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(description)}</rdf:li></rdf:Alt>'
        '</dc:description></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def jpeg_segment(packet: str) -> bytes:
    """A packet as a segment of a JPEG file."""
    content = _XMP + packet.encode()
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
