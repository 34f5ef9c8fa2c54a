"""Nothing that a library says reaches the terminal."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anthropo.quiet import hushed, libraries_off_the_terminal

Pixels = NDArray[np.uint8]
NOISE = """
import logging, os, sys, warnings
import numpy as np
from anthropo.quiet import libraries_off_the_terminal

def noise():
    warnings.warn("a library's warning")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("a library that insists")
    np.float64(1) / np.float64(0)
    logging.getLogger("library").error("a library's log")
    os.write(2, b"compiled code\\n")

with libraries_off_the_terminal():
    noise()
    print("anthropo's sentence", file=sys.stderr)
print("afterwards", file=sys.stderr)
os.write(2, b"and the descriptor\\n")
{end}
"""


def run(code: str, *options: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("options", [(), ("-W", "always"), ("-W", "error")])
def test_stderr_is_for_our_sentences(options: tuple[str, ...]) -> None:
    done = run(NOISE.format(end=""), *options)
    assert done.returncode == 0
    assert done.stderr == "anthropo's sentence\nafterwards\nand the descriptor\n"


def test_a_fault_of_ours_is_still_shown() -> None:
    done = run(NOISE.format(end="raise ValueError('ours')"))
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: ours\n")
    inside = NOISE.replace("    noise()\n", "    raise ValueError('inside')\n")
    assert run(inside.format(end="")).stderr.endswith("ValueError: inside\n")


def test_without_a_stderr() -> None:
    """As of a program without a console, or started with `2>&-`."""
    code = (
        "import os, sys\n"
        "from anthropo.quiet import libraries_off_the_terminal\n"
        "os.close(2)\n"
        "for stream in (sys.stderr, None):\n"
        "    sys.stderr = stream\n"
        "    with libraries_off_the_terminal():\n"
        "        print('inside')\n"
        "    assert sys.stderr is stream\n"
    )
    assert run(code).stdout == "inside\ninside\n"


def test_what_is_hushed_is_heard_again(capfd: pytest.CaptureFixture[str]) -> None:
    with hushed(stdout=True):
        warnings.warn("not heard", stacklevel=1)
        logging.getLogger("library").error("not heard")
        print("not heard")
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", stacklevel=1)
    assert logging.getLogger("library").isEnabledFor(logging.ERROR)
    print("heard")
    assert capfd.readouterr() == ("heard\n", "")


def test_the_streams_come_back() -> None:
    before = sys.stderr
    with libraries_off_the_terminal():
        pass
    assert sys.stderr is before


def damaged(folder: Path, astronaut: Pixels) -> int:
    """Pictures about which Pillow and the libraries below it have much to say."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(astronaut)
    names = []
    for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4"):
        path = folder / f"{kind}.tif"
        (image.convert("1") if kind == "group4" else image).save(path, compression=kind)
        data = path.read_bytes()
        for name, places in (("body", rng.integers(8, len(data) // 2, 40)), ("tags", [len(data) - 30])):
            changed = bytearray(data)
            for at in places:
                changed[at] ^= 0x55
            names.append(folder / f"{kind}-{name}.tif")
            names[-1].write_bytes(changed)
        names.append(folder / f"{kind}-cut.tif")
        names[-1].write_bytes(data[: len(data) * 3 // 4])
        path.unlink()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker" * 9, 1
    image.save(folder / "exif.jpg", exif=exif)
    changed = bytearray((folder / "exif.jpg").read_bytes())
    at = changed.find(b"Exif\0\0")
    changed[at + 14 : at + 40] = bytes(b ^ 0x5A for b in changed[at + 14 : at + 40])
    (folder / "exif.jpg").write_bytes(changed)
    image.convert("P").save(folder / "palette.png", transparency=bytes(256))
    return len(names) + 2


def test_measuring_damaged_pictures_prints_sentences_only(tmp_path: Path, astronaut: Pixels) -> None:
    pictures = tmp_path / "p"
    pictures.mkdir()
    number = damaged(pictures, astronaut)
    command = [sys.executable, "-W", "always", "-m", "anthropo", "measure", str(pictures), "-o", "r.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode in (1, 3)
    assert f" of {number} photos measured" in done.stderr
    for line in done.stderr.splitlines():
        assert line.startswith((str(pictures), "… and ", "r.csv: ", "photo gate: ", "  ")), line


def test_reading_a_picture_with_odd_exif_says_nothing_in_a_users_own_program(
    tmp_path: Path, astronaut: Pixels
) -> None:
    damaged(tmp_path, astronaut)
    code = (
        "import sys, warnings, anthropo\n"
        "for path in sys.argv[1:]:\n"
        "    anthropo.read_photo(path)\n"
        "warnings.warn('of the user')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "exif.jpg", tmp_path / "palette.png"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    first, *others = done.stderr.splitlines()
    assert first == "<string>:4: UserWarning: of the user"
    assert set(others) <= {"  warnings.warn('of the user')"}  # which Python shows from 3.13 on
