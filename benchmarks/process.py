"""One photo, whole process: `anthropo measure` against a script with the usual dlib recipe.

    python benchmarks/process.py PHOTO [--repeat 5]

The script imports dlib, loads the detector and the 68-point predictor, decodes the photo with
Pillow and runs both at full resolution. anthropo's weights cache is warm. Also: `anthropo --help`
against `python -c "import numpy"`. The fastest repetition counts; memory is the largest resident
set.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from anthropo.face.weights import locate

RECIPE = """
import sys, dlib, numpy
from PIL import Image, ImageOps
detector = dlib.get_frontal_face_detector()
predictor = dlib.shape_predictor(sys.argv[2])
pixels = numpy.asarray(ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB"))
for box in detector(pixels, 0):
    print([(p.x, p.y) for p in predictor(pixels, box).parts()])
"""


def run(command: list[str], repeat: int) -> tuple[float, float]:
    """Seconds and MiB that the command took."""
    seconds, memory = [], 0.0
    # with it, each run would compile all of the source that it loads
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(repeat):
        start = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        ) as process:
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
        seconds.append(time.perf_counter() - start)
        memory = max(memory, usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10))
    return min(seconds), memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    anthropo = str(Path(sys.executable).with_name("anthropo"))
    measure = [anthropo, "measure", arguments.photo, "--face", "largest"]
    subprocess.run(measure, capture_output=True, check=False)  # warm the cache
    peer = run([sys.executable, "-c", RECIPE, arguments.photo, str(locate("landmarks-68"))], arguments.repeat)
    ours = run(measure, arguments.repeat)
    numpy = run([sys.executable, "-c", "import numpy"], 2 * arguments.repeat)
    helped = run([anthropo, "--help"], 2 * arguments.repeat)
    print("| whole process | s | peak memory, MiB | ratio |")
    print("|---|---|---|---|")
    print(f"| dlib recipe | {peer[0]:.2f} | {peer[1]:.0f} | |")
    print(f"| anthropo measure | {ours[0]:.2f} | {ours[1]:.0f} | {peer[0] / ours[0]:.1f} × faster |")
    print(f'| python -c "import numpy" | {numpy[0]:.3f} | {numpy[1]:.0f} | |')
    print(f"| anthropo --help | {helped[0]:.3f} | {helped[1]:.0f} | {helped[0] / numpy[0]:.2f} × its time |")


if __name__ == "__main__":
    main()
