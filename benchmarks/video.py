"""Videos: speed against real time, and how steady pooled measurements are.

    python benchmarks/video.py FOLDER

FOLDER holds videos. Each is measured as in `anthropo measure`. If it shows a face, its first ten seconds
are measured as well, as they are and enlarged to 1280 pixels. Steadiness: the video is measured from two
disjoint sets of frames (every other frame; the first against the second half). Half of the squared
difference of both pooled values is the variance of a repetition; it is compared with the stated variance
and with that of single frames.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from anthropo.batch.inputs import Item
from anthropo.batch.records import Record
from anthropo.batch.run import measure_item
from anthropo.decoding.limits import FRAMES
from anthropo.errors import AnthropoError
from anthropo.measurement.compute import Measurement, measure_face
from anthropo.measurement.pooling import pool
from anthropo.measurement.registry import PIXELS, registry
from anthropo.observation import observe
from anthropo.settings import Settings
from anthropo.video import SUFFIXES, open_video

SECONDS = 10


def excerpt(video: Path, file: Path, width: int | None) -> None:
    """The first ten seconds, encoded again."""
    with av.open(str(video)) as source, av.open(str(file), "w") as target:
        stream = source.streams.video[0]
        rate = round(float(stream.average_rate or 25))
        size = (stream.width, stream.height)
        if width:
            size = (width, 2 * round(stream.height * width / stream.width / 2))
        out: Any = target.add_stream("libx264", rate=rate)
        out.width, out.height, out.pix_fmt = *size, "yuv420p"
        for number, frame in enumerate(source.decode(stream)):
            if number >= rate * SECONDS:
                break
            picture = frame.reformat(width=size[0], height=size[1], format="yuv420p")
            picture.pts = None
            target.mux(out.encode(picture))
        target.mux(out.encode())


def timed(path: Path) -> tuple[Record, float]:
    start = time.perf_counter()
    (record,) = measure_item(Item(str(path)), Settings(face="largest"))
    return record, time.perf_counter() - start


def told(name: str, path: Path) -> bool:
    """Print a row of the table of times, and return whether there was a face."""
    record, spent = timed(path)
    length = open_video(path).seconds
    video = record.video
    found = f"{video.measured} of {video.frames}" if video else "none: no face found"
    print(f"| {name} | {length:.1f} s | {found} | {spent:.2f} s | {length / spent:.1f} |")
    return video is not None


def frames_of(path: Path, count: int) -> list[list[Measurement]]:
    found: list[list[Measurement]] = []
    for photo in open_video(path).photos(count):
        try:
            face = observe(photo, Settings(face="largest")).face
        except AnthropoError:
            continue
        found.append(measure_face(face, photo))
    return found


def steadiness(a: Sequence[list[Measurement]], b: Sequence[list[Measurement]]) -> list[tuple[float, ...]]:
    """Per measurement: SD of one frame, stated and true SD of the pooled value, in SD of one interval."""
    rows: list[tuple[float, ...]] = []
    for one, other, frame in zip(pool(a), pool(b), a[0], strict=True):
        half = frame.hi - frame.value
        if min(one.photos, other.photos) < 5 or registry()[one.id].kind in PIXELS or not np.isfinite(half):
            continue
        unit = half / 1.96
        rows.append(
            (one.sd / unit, one.repeatability / unit, abs(one.value - other.value) / np.sqrt(2) / unit)
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    videos = sorted(p for p in parser.parse_args().folder.iterdir() if p.suffix.lower() in SUFFIXES)
    timed(videos[0])  # loads the models
    print("| video | length | frames measured | time | times real time |\n|---|---|---|---|---|")
    faces = []
    with tempfile.TemporaryDirectory() as folder:
        for video in videos:
            if told(video.name, video):
                faces.append(video)
                for width in (None, 1280):
                    file = Path(folder) / f"{video.stem}-{width}.mp4"
                    excerpt(video, file, width)
                    told(f"{video.name}, first 10 s" + (", 1280 px wide" if width else ""), file)
    print("\n| video | frames | measurements | SD of one frame | of the pooled value, stated | true |")
    print("|---|---|---|---|---|---|")
    for video in faces:
        frames = frames_of(video, 2 * FRAMES)
        middle = len(frames) // 2
        for name, a, b in (
            ("every other", frames[::2], frames[1::2]),
            ("first against second half", frames[:middle], frames[middle:]),
        ):
            rows = np.array(steadiness(a, b))
            single, stated, true = np.sqrt((rows**2).mean(0))
            which = f"{FRAMES}, {name}"
            print(f"| {video.name} | {which} | {len(rows)} | {single:.2f} | {stated:.2f} | {true:.2f} |")
    print("\nSDs in those that one frame's interval stands for (half of it / 1.96), root mean square.")


if __name__ == "__main__":
    main()
