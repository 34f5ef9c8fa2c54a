"""What a tutorial's first, hidden cell calls, and how it shows a page that anthropo wrote."""

from __future__ import annotations

import fcntl
import html
import os
import shutil
import subprocess
import sys
from pathlib import Path

from IPython import get_ipython
from IPython.display import HTML
from PIL import Image

STUDY = ("anthropo", "demo", "study", "--patients", "30", "--photos-only")


_up = "../"  # from the page to the site's root


def begin(name: str, study: bool = False, up: str = "../") -> None:
    """Start in an empty folder that has `portrait.png`, and with `study` what the command `STUDY` makes."""
    global _up
    _up = up
    folder = Path(os.environ["ANTHROPO_DOCS_WORK"]) / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)
    for variable in ("FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR"):
        os.environ.pop(variable, None)  # with which ipykernel has commands print as on a terminal
    _this_anthropo_first(folder.parent / "bin" / name)
    get_ipython().register_magic_function(_shell, "cell", "bash")
    from skimage import data

    Image.fromarray(data.astronaut()).save("portrait.png")
    if study:
        shutil.copytree(_study(folder.parent / "shared"), "study", copy_function=os.link)


def _shell(line: str, cell: str) -> None:
    """Run a cell as bash does; what it prints comes in one piece, errors in their place, as on a terminal."""
    done = subprocess.run(
        ["bash", "-e", "-c", cell],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    print(done.stdout, end="")
    done.check_returncode()


def _this_anthropo_first(place: Path) -> None:
    """Have shell cells run the package that Python cells import, whatever else is on the path."""
    place.mkdir(parents=True, exist_ok=True)
    main = 'if __name__ == "__main__":\n    from anthropo.cli import main\n\n    main()\n'
    (place / "anthropo").write_text(f"#!{sys.executable}\n{main}")
    (place / "anthropo").chmod(0o755)
    os.environ["PATH"] = os.pathsep.join([str(place), os.environ["PATH"]])


def _study(place: Path) -> Path:
    """The folder of synthetic people, made once in a build, by whichever process comes first."""
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "done").is_file():
            shutil.rmtree(place / "study", ignore_errors=True)
            subprocess.run(STUDY, cwd=place, check=True, stdout=subprocess.DEVNULL)
            (place / "done").touch()
    return place / "study"


def show(path: str, height: str = "36rem") -> HTML:
    """The page or picture inside the tutorial, with a link that opens it alone. `path` may be a pattern."""
    (source,) = (found.resolve() for found in Path().glob(path))
    path = source.relative_to(Path.cwd()).as_posix()
    folder = Path(os.environ["ANTHROPO_DOCS_SHOWN"]) / Path.cwd().name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, folder / source.name)
    address = html.escape(f"{_up}shown/{folder.name}/{source.name}")
    if source.suffix == ".html":
        inside = (
            f'<iframe class="page" loading="lazy" src="{address}" title="{html.escape(path)}" '
            f'style="height: {height}"></iframe>'
        )
    else:
        inside = f'<img src="{address}" alt="{html.escape(path)}">'
    return HTML(f'{inside}<p class="shown"><a href="{address}">open {html.escape(path)}</a></p>')
