"""Decoders that crash, hang or eat memory, in processes of their own. The faults are put into the process."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import Copies, Invoke, Pixels, sentence_of
from PIL import Image

from anthropo.decoding import decoder, pool, undecodable
from anthropo.decoding.pool import PROGRAM
from anthropo.errors import PhotoError
from anthropo.photo import read_photo
from anthropo.video import open_video

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits are those of Unix")

Fault = Callable[[str], None]

#: What replaces the opening of a picture in the decoder's process; `data` is the file.
FAULTY = """
import os, signal, time
from anthropo.decoding import picture
from anthropo.errors import PhotoError
real = picture.open_picture
def faulty(data, kind, where, **options):
    {}
    return real(data, kind, where, **options)
picture.open_picture = faulty
"""


def program_with(statement: str, faulty: str = FAULTY) -> str:
    code = faulty.format(statement.replace("\n", "\n    "))
    return f"exec({code!r}); {PROGRAM}"


@pytest.fixture(autouse=True)
def fresh(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No processes and nothing remembered, before and after."""
    monkeypatch.setenv("ANTHROPO_CACHE", str(tmp_path_factory.mktemp("cache")))
    new_run()
    yield
    new_run()


def new_run() -> None:
    pool.end_idle()
    undecodable._here.clear()


def fault_in(faulty: str, monkeypatch: pytest.MonkeyPatch) -> Fault:
    """Puts a statement into the decoder's process, or none; processes under way are ended."""

    def put(statement: str) -> None:
        pool.end_idle()
        monkeypatch.setattr(pool, "PROGRAM", program_with(statement, faulty) if statement else PROGRAM)

    return put


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    """fault(statement): the statement runs before a picture is opened."""
    return fault_in(FAULTY, monkeypatch)


@pytest.fixture
def tif(tmp_path: Path, astronaut: Pixels) -> Path:
    path = tmp_path / "a.tif"
    Image.fromarray(astronaut).save(path)
    return path


def reason(path: Path, **options: Any) -> str:
    return sentence_of(PhotoError, read_photo, path, **options)


CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"


# ---------------------------------------------------------------------------------------- death


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE"])
def test_a_crash_is_the_reason_of_its_photo(tif: Path, fault: Fault, name: str) -> None:
    fault(f"os.kill(os.getpid(), signal.{name})")
    assert reason(tif) == f"{tif}: decoding this TIFF file crashed ({name}). Export the photo as JPEG."


def test_a_crash_is_remembered_until_the_file_changes(tif: Path, astronaut: Pixels, fault: Fault) -> None:
    before = tif.read_bytes()
    fault(CRASH)
    reason(tif)
    fault("")
    skipped = (
        f"{tif}: not tried, since decoding this TIFF file crashed (SIGSEGV) before. Export the photo as JPEG."
    )
    assert reason(tif) == skipped
    new_run()
    assert reason(tif) == skipped
    copy = tif.with_name("copy.tif")
    copy.write_bytes(before)
    assert "copy.tif: not tried" in reason(copy)
    Image.fromarray(astronaut[:, ::-1]).save(tif)
    assert np.array_equal(read_photo(tif).pixels, astronaut[:, ::-1])


def test_a_crash_is_not_remembered_of_other_decoders(
    tif: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(CRASH)
    reason(tif)
    fault("")
    new_run()
    monkeypatch.setattr(undecodable, "__version__", "another")
    assert read_photo(tif).full_size == (512, 512)


def test_nothing_about_the_photo_is_kept(tif: Path, fault: Fault) -> None:
    fault(CRASH)
    reason(tif)
    (entry,) = Path(os.environ["ANTHROPO_CACHE"]).rglob("*.json")
    assert "a.tif" not in entry.read_text() + str(entry)
    sound = json.loads(entry.read_text())
    fault("")
    for text in ("[]", json.dumps({**sound, "how": "\x1b[2J"}), json.dumps({**sound, "how": 3})):
        entry.write_text(text)  # damaged, or written by somebody else: none
        new_run()
        assert read_photo(tif).full_size == (512, 512)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_cohort_with_crashing_photos(
    tmp_path: Path, tif: Path, astronaut: Pixels, copies: Copies, invoke: Invoke, fault: Fault, jobs: int
) -> None:
    folder = tmp_path / "cohort"
    copies(folder, "a.png", "e.png")
    for name in ("b.tif", "c.bmp", "d.webp"):
        Image.fromarray(astronaut).save(folder / name, lossless=True)
    table = tmp_path / "t.csv"
    arguments = ("measure", folder, "-o", table, "-j", jobs)
    fault(f'if kind in ("TIFF", "WebP"):\n    {CRASH}')
    result = invoke(*arguments)
    assert result.exit_code == 3
    rows = {Path(row["photo"]).name: row for row in csv.DictReader(table.open())}
    assert [rows[n]["status"] for n in sorted(rows)] == ["ok", "failed", "ok", "failed", "ok"]
    assert "crashed (SIGSEGV)" in rows["b.tif"]["reason"]
    assert len({rows[n]["mouth_width"] for n in ("a.png", "c.bmp", "e.png")}) == 1

    new_run()
    result = invoke(*arguments)
    assert result.exit_code == 3
    rows = {Path(row["photo"]).name: row for row in csv.DictReader(table.open())}
    assert rows["d.webp"]["reason"].startswith(f"{folder / 'd.webp'}: not tried, since decoding this WebP")
    assert rows["a.png"]["status"] == "ok"


def test_who_ends_the_process_from_outside_does_not_harm_the_photo(
    tif: Path, tmp_path: Path, fault: Fault
) -> None:
    mark = str(tmp_path / "mark")
    fault(f"if not os.path.exists({mark!r}):\n    open({mark!r}, 'w').close()\n    os.kill(os.getpid(), 9)")
    assert read_photo(tif).full_size == (512, 512)


def test_a_process_that_is_ended_twice(tif: Path, fault: Fault) -> None:
    """As by a system that lacks memory, whenever it comes to this photo."""
    fault("os.kill(os.getpid(), 9)")
    assert "decoding this TIFF file was ended from outside (SIGKILL). Export" in reason(tif)
    assert ": not tried, since" in reason(tif)


def test_a_process_that_ended_while_idle_is_replaced(tif: Path) -> None:
    read_photo(tif)
    (idle,) = pool._idle
    idle._process.kill()
    idle._process.wait()
    assert read_photo(tif).full_size == (512, 512)


# ------------------------------------------------------------------------------------ the limits


def test_deadline(tif: Path, fault: Fault) -> None:
    fault("while True: pass")
    began = time.process_time()
    assert reason(tif, deadline=1) == (
        f"{tif}: decoding this TIFF file took more than 1 s. Export the photo as JPEG, or allow more time "
        "with deadline=4."
    )
    assert time.process_time() - began < 0.5  # the other process has waited in vain, not this one
    fault("")
    assert "not tried" in reason(tif, deadline=1)
    assert read_photo(tif, deadline=4).full_size == (512, 512)


def test_deadline_by_the_clock(tif: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a process that does nothing at all, and where computing time cannot be limited."""
    monkeypatch.setattr(pool, "_PATIENCE", 1)
    fault("time.sleep(3600)")
    assert "took more than 0.5 s" in reason(tif, deadline=0.5)


def test_the_deadline_is_an_option(tif: Path, fault: Fault, invoke: Invoke) -> None:
    fault("while True: pass")
    result = invoke("measure", tif, "--deadline", 1)
    assert result.exit_code == 1
    assert "or allow more time with --deadline 4.\n" in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory")
def test_memory(tif: Path, fault: Fault) -> None:
    fault("data = bytes(4 << 30)")
    assert "decoding this TIFF file needs more memory than there is for it. Export" in reason(tif)
    fault("")
    assert read_photo(tif).full_size == (512, 512)  # not remembered: there may be more memory


@pytest.mark.parametrize(
    "error", ["RuntimeError('x')", "AttributeError", "RecursionError", "Image.DecompressionBombError"]
)
def test_whatever_a_decoder_raises_is_the_reason(tif: Path, fault: Fault, error: str) -> None:
    fault(
        "from PIL import Image, TiffImagePlugin\n"
        f"def load(self): raise {error}\n"
        "TiffImagePlugin.TiffImageFile.load = load"
    )
    assert reason(tif) == f"{tif}: the picture data is damaged. Copy or export the photo again."


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_whatever_a_decoder_raises_here(
    tmp_path: Path, astronaut: Pixels, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from PIL import JpegImagePlugin, PngImagePlugin

    def load(self: object) -> None:
        raise AttributeError("x")

    kinds = {"JPEG": JpegImagePlugin.JpegImageFile, "PNG": PngImagePlugin.PngImageFile}
    path = tmp_path / "a"
    Image.fromarray(astronaut).save(path, name)
    monkeypatch.setattr(kinds[name], "load", load)
    assert reason(path) == f"{path}: the picture data is damaged. Copy or export the photo again."


# --------------------------------------------------------------------------------------- videos

#: The statement runs before each packet of a video is decoded, and `number` says which frame is waited for.
FAULTY_VIDEO = """
import os, signal, time
from anthropo.decoding import movie
real = movie._first
number = 0
def faulty(frames, stamp):
    global number
    number += 1
    {}
    return real(frames, stamp)
movie._first = faulty
"""


@pytest.fixture
def clip(tmp_path: Path, astronaut: Pixels) -> Path:
    path = tmp_path / "a.mp4"
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("libx264", rate=10, options={"g": "4"})
        stream.width, stream.height, stream.pix_fmt = 128, 128, "yuv420p"
        for i in range(12):
            pixels = np.full((128, 128, 3), 10 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def video_fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    return fault_in(FAULTY_VIDEO, monkeypatch)


def frames_of(path: Path, count: int = 6, **options: Any) -> list[int]:
    return [round(photo.pixels.mean() / 10) for photo in open_video(path, **options).photos(count)]


def video_reason(path: Path, **options: Any) -> str:
    return sentence_of(PhotoError, frames_of, path, **options)


def test_a_crash_is_the_reason_of_its_video(clip: Path, video_fault: Fault, invoke: Invoke) -> None:
    video_fault(f"if number > 3: {CRASH}")
    crashed = "crashed (SIGSEGV){}. Export it again as MP4."
    result = invoke("measure", clip, "-o", clip.with_name("t.csv"))
    assert result.exit_code == 1
    assert f"{clip}: decoding this video {crashed.format('')}" in result.stderr
    video_fault("")
    new_run()
    skipped = f"{clip}: not tried, since decoding this video {crashed.format(' before')}"
    assert video_reason(clip) == skipped
    clip.write_bytes(clip.read_bytes() + b"\0\0\0\x08free")
    assert frames_of(clip) == [1, 3, 5, 7, 9, 11]


def test_a_video_goes_on_where_its_process_was_ended(clip: Path, tmp_path: Path, video_fault: Fault) -> None:
    mark = str(tmp_path / "mark")
    video_fault(
        f"if number > 5 and not os.path.exists({mark!r}):\n"
        f"    open({mark!r}, 'w').close()\n    os.kill(os.getpid(), 9)"
    )
    assert frames_of(clip) == [1, 3, 5, 7, 9, 11]
    assert Path(mark).exists()


def test_deadline_of_a_video(clip: Path, video_fault: Fault) -> None:
    """A frame costs less than a photo: sixteen may take four times as long."""
    video_fault("while True: pass")
    took = f"{clip}: decoding this video took more than 1 s. Export it again as MP4, or allow more time with "
    assert video_reason(clip, deadline=0.25) == f"{took}deadline=1."
    assert ": not tried, since" in video_reason(clip, deadline=0.25)
    video_fault("")
    assert frames_of(clip, deadline=1) == [1, 3, 5, 7, 9, 11]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory")
def test_memory_of_a_video(clip: Path, video_fault: Fault) -> None:
    video_fault("data = bytes(4 << 30)")
    assert "decoding this video needs more memory than there is for it. Export" in video_reason(clip)
    video_fault("")
    assert len(frames_of(clip)) == 6


def test_a_video_beyond_the_limit_of_pixels_is_refused(clip: Path) -> None:
    reason = video_reason(clip, max_megapixels=0.016)
    assert "128 × 128 pixels are 0.0164 MP, more than the limit of 0.016 MP. Reduce the video" in reason


def interrupt(work: Callable[[], object]) -> None:
    """Ctrl-C after a second, which ends the work and the process that it waits for."""
    threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        work()
    assert pool._idle == []


def test_an_interruption_ends_a_video(clip: Path, video_fault: Fault) -> None:
    video_fault("time.sleep(3600)")
    interrupt(lambda: frames_of(clip))


def test_videos_are_not_decoded_here(clip: Path) -> None:
    program = f"""
import sys
from anthropo.video import open_video
assert len(list(open_video({str(clip)!r}).photos(3))) == 3
assert "av" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# ------------------------------------------------------------------------------- the same pixels


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_the_same_pixels_in_either_process(
    tmp_path: Path, astronaut: Pixels, monkeypatch: pytest.MonkeyPatch, name: str, orientation: int
) -> None:
    path, exif = tmp_path / "a", Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(astronaut[:, :300]).save(path, name, exif=exif)
    for short_side in (None, 60):
        here = read_photo(path, short_side=short_side)
        with monkeypatch.context() as patch:
            patch.setattr(decoder, "is_quick", lambda *_: False)
            there = read_photo(path, short_side=short_side)
        assert np.array_equal(here.pixels, there.pixels)
        assert (here.full_size, here.decode_scale) == (there.full_size, there.decode_scale)
        assert there.pixels.flags.c_contiguous
    assert len(pool._idle) == 1


def test_strips_of_large_pictures(tmp_path: Path) -> None:
    """Larger than what is converted and sent at once, and no multiple of it."""
    random = np.random.default_rng(5)
    pixels = random.integers(0, 256, (1700, 1301, 3), np.uint8)
    for mode in ("RGB", "L", "RGBA", "P"):
        image = Image.fromarray(pixels).convert(mode)
        image.save(tmp_path / "a.tif")
        image.save(tmp_path / "a.png")
        expected = np.asarray(image.convert("RGB"))
        assert np.array_equal(read_photo(tmp_path / "a.tif").pixels, expected)
        assert np.array_equal(read_photo(tmp_path / "a.png").pixels, expected)


# --------------------------------------------------------------------------------- the processes


def test_one_process_for_each_thread_that_decodes(tmp_path: Path, astronaut: Pixels) -> None:
    paths = [tmp_path / f"{i}.tif" for i in range(12)]
    for path in paths:
        Image.fromarray(astronaut).save(path)
    for path in paths[:3]:
        read_photo(path)
    (only,) = pool._idle
    pid = only._process.pid
    threads = [
        threading.Thread(target=lambda part: [read_photo(p) for p in part], args=(paths[i::3],))
        for i in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(pool._idle) <= 3
    assert pid in {one._process.pid for one in pool._idle}


def test_the_process_is_small(tif: Path, fault: Fault) -> None:
    fault('import sys\nraise PhotoError(" ".join(sys.modules))')
    modules = set(reason(tif).split())
    assert "PIL.Image" in modules
    heavy = {"numpy", "torch", "pandas", "sklearn", "scipy", "xgboost", "matplotlib", "skimage", "click"}
    assert modules.isdisjoint(heavy)
    assert not any(name.startswith(("anthropo.face", "anthropo.batch", "anthropo.photo")) for name in modules)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int, within: float) -> bool:
    until = time.monotonic() + within
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("busy", [True, False])
def test_no_orphan_is_left_of_a_killed_run(tif: Path, tmp_path: Path, busy: bool) -> None:
    mark = tmp_path / "pid"
    statement = f"open({str(mark)!r}, 'w').write(str(os.getpid()))" + "\nwhile True: pass" * busy
    program = f"""
import time
from anthropo import read_photo
from anthropo.decoding import pool
pool.PROGRAM = {program_with(statement)!r}
read_photo({str(tif)!r}, deadline=None)
time.sleep(3600)
"""
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        until = time.monotonic() + 60
        while not mark.exists() or not mark.read_text():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        pid = int(mark.read_text())
        assert alive(pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert gone(pid, 10)


def test_an_interruption_ends_the_process_under_way(tif: Path, fault: Fault) -> None:
    fault("time.sleep(3600)")
    interrupt(lambda: read_photo(tif))
    fault("")
    assert read_photo(tif).full_size == (512, 512)  # it was not the photo's fault
