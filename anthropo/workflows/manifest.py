"""What a run was made with, so that it can be checked and made again: ``OUTPUT.run.json``."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anthropo._version import __version__
from anthropo.batch.inputs import photographs_in, read_photo_table
from anthropo.errors import AnthropoError, InputError
from anthropo.files import file_sha256, read_text, write
from anthropo.licensing import notice, permissive
from anthropo.parallel.runner import available_cores, choose, unless_lost
from anthropo.showing import fielded, html
from anthropo.tables import is_table
from anthropo.workflows.encoders import encoder_files, is_network_file

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.workflows.sameness import OutputDifference

SCHEMA = "anthropo run 1"
SUFFIX = ".run.json"
_LIBRARIES = ("numpy", "scipy", "PIL", "pandas", "sklearn", "xgboost", "torch", "timm", "onnxruntime", "av")
#: What changes the order of sums, and with it the last digits.
_ENVIRONMENT = ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_WRITTEN = (
    "output",
    "overlay",
    "save_landmarks",
    "predictions",
    "figures",
    "report",
)  # parameters that name what is written
_NO_INPUT = (*_WRITTEN, "cache")
_ANNOTATIONS = (".pts", ".tem", ".landmarks.json")
#: Largest relative difference of a number that another processor, or another version of a library, may make:
#: float32 keeps seven digits, and the networks' sums over thousands of terms lose two of them.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """A run: its command, what it read, what it was made with and what it wrote.

    Attributes
    ----------
    schema : str
        Kind and version of the file.
    command : tuple of str
        The command line without the program's name; empty where the run was to be anonymous.
    folder : str
        Where it ran, relative to the manifest.
    output : str
        Name of the file or folder that was written, beside the manifest.
    outputs, inputs : dict of str to str
        SHA-256 of each file written and read. Photos of a table or folder are named by a hash of their path.
    settings : dict
        Every parameter, defaults included.
    versions : dict of str to str
        Of anthropo, Python and the libraries that were used.
    permissive : str
        Of a run that used only what has a permissive licence: what that is, and what it left out; else "".
    processor : dict of str to str
        Its name and architecture, and variables that change how it computes.
    """

    schema: str = SCHEMA
    command: tuple[str, ...]
    folder: str
    output: str
    outputs: dict[str, str]
    inputs: dict[str, str]
    settings: dict[str, Any]
    permissive: str = field(default_factory=notice)
    versions: dict[str, str] = field(default_factory=lambda: _versions())
    processor: dict[str, str] = field(default_factory=lambda: _processor())

    __repr__ = fielded

    def to_json(self) -> dict[str, Any]:
        """The manifest as JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether a run can be made again with the same result.

    Attributes
    ----------
    changed : tuple of str
        What is not as it was: inputs, the output itself. Then nothing is made again.
    elsewhere : tuple of str
        Versions and processors that differ from those of the run.
    differences : tuple of OutputDifference
        Between the output and what was made again.
    """

    changed: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    differences: tuple[OutputDifference, ...] = ()

    __repr__ = fielded

    @property
    def same(self) -> bool:
        """Whether the result is the same: bit for bit on the same machine, within `TOLERANCE` elsewhere."""
        allowed = TOLERANCE if self.elsewhere else 0.0
        return not self.changed and all(one.size <= allowed for one in self.differences)

    def _repr_html_(self) -> str:
        return html(self, "table_of")

    def to_frame(self) -> pd.DataFrame:
        """A row for each difference: file, place, before, now, size."""
        import pandas as pd

        from anthropo.workflows.sameness import OutputDifference

        return pd.DataFrame(
            [asdict(one) for one in self.differences], columns=[f.name for f in fields(OutputDifference)]
        )


def manifest_path(output: str | os.PathLike[str]) -> Path:
    """Where the manifest of an output lies."""
    path = Path(output)
    return path.with_name(path.name + SUFFIX)


def record_run(
    command: Sequence[str], parameters: Mapping[str, Any], output: str | os.PathLike[str]
) -> RunManifest:
    """Write the manifest of a run beside its output.

    Parameters
    ----------
    command : sequence of str
        The command line without the program's name.
    parameters : mapping
        Every parameter by name. Those that name existing files are hashed, with the photos that a table or
        folder lists.
    output : path
        The file or folder that was written.

    Returns
    -------
    RunManifest

    Raises
    ------
    InputError
        If the manifest cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import anthropo
    >>> _ = Path("figures.csv").write_text("photo,status\\n")
    >>> anthropo.record_run(["measure", "p.jpg", "-o", "figures.csv"], {}, "figures.csv").folder
    '.'
    """
    path = Path(output)
    anonymous = bool(parameters.get("anonymous"))
    made = RunManifest(
        command=() if anonymous else tuple(command),
        folder=os.path.relpath(os.getcwd(), path.parent),
        output=path.name,
        outputs=_hashes(path),
        inputs={} if anonymous else _inputs(parameters),
        settings={} if anonymous else {name: _plain(value) for name, value in parameters.items()},
        versions=_versions(behind_cache=_behind_cache(parameters)),
    )
    write(manifest_path(path), json.dumps(made.to_json(), ensure_ascii=False, indent=1) + "\n")
    return made


def read_manifest(path: str | os.PathLike[str]) -> RunManifest:
    """Read a manifest that `record_run` wrote; an InputError says why it is none."""
    try:
        if os.path.isfile(path) and Path(path).suffix.lower() != ".json":
            raise ValueError("its name does not end in .json")
        document = json.loads(read_text(Path(path)))
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA!r}")
        kinds = {"command": list, "folder": str, "output": str, "permissive": str}
        document.setdefault("permissive", "")  # of a version that knew no such runs
        for one in fields(RunManifest):
            if not isinstance(document.get(one.name), kinds.get(one.name, (dict, str))):
                raise ValueError(f"{one.name} is missing or of another kind")
        if os.path.basename(document["output"]) != document["output"]:
            raise ValueError("its output does not lie beside it")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a manifest of a run ({error}). Name an OUTPUT{SUFFIX}.") from None
    known = {one.name: document[one.name] for one in fields(RunManifest)}
    return RunManifest(**{**known, "command": tuple(map(str, known["command"]))})


def verify(path: str | os.PathLike[str]) -> Verification:
    """Check what a run read, make it again and compare.

    The command runs again in a process of its own and writes to a temporary folder; nothing is overwritten.

    Parameters
    ----------
    path : path
        The manifest, ``OUTPUT.run.json``.

    Returns
    -------
    Verification

    Raises
    ------
    InputError
        If the file is no manifest, or is of an anonymous run.
    AnthropoError
        If the command fails now.

    Examples
    --------
    >>> import anthropo
    >>> photo, table = anthropo.example_photo(), "person.csv"
    >>> anthropo.measure_table(photo, jitter=2).to_csv(table, index=False)
    >>> command = ["measure", photo, "-o", table, "--jitter", "2"]
    >>> made = anthropo.record_run(command, {"photos": photo, "output": table}, table)
    >>> again = anthropo.verify("person.csv.run.json")
    >>> again.changed, again.differences
    ((), ())
    """
    from anthropo.workflows.sameness import differences

    where, made = Path(path), read_manifest(path)
    if not made.command:
        raise InputError(f"{path}: the run was to be anonymous, so that its command is not known.")
    output = where.parent / made.output
    folder = where.parent / made.folder
    changed = _changed("output", made.outputs, _hashes(output))
    if not folder.is_dir():
        changed.append(f"the folder it ran in, {folder}, is gone")
    else:
        changed += _changed("input", made.inputs, _inputs(made.settings, folder))
    then = made.versions | made.processor
    versions = _versions(made.versions)
    now = {name: versions.get(name, "") for name in made.versions} | _processor()
    elsewhere = [
        f"{name}: {then.get(name) or 'not set'} then, {now.get(name) or 'not set'} now"
        for name in {**then, **now}
        if then.get(name) != now.get(name)
    ]
    if changed:
        return Verification(changed=tuple(changed), elsewhere=tuple(elsewhere))
    with tempfile.TemporaryDirectory() as temporary:
        again = Path(temporary) / "again" / made.output
        again.parent.mkdir()
        with permissive() if made.permissive else contextlib.nullcontext():
            _run(_elsewhere(made, again, Path(temporary)), folder)
        return Verification(elsewhere=tuple(elsewhere), differences=tuple(differences(output, again)))


def _elsewhere(made: RunManifest, output: Path, temporary: Path) -> list[str]:
    """The command with everything that it writes in other places: the last of repeated options counts."""
    given = {name: Path(str(made.settings[name])).name for name in _WRITTEN if made.settings.get(name)}
    places = {name: temporary / last for name, last in given.items()} | {"output": output}
    more = [word for name, place in places.items() for word in (f"--{name.replace('_', '-')}", str(place))]
    words = _without_cluster(made.command)
    at = words.index("--") if "--" in words else len(words)
    return [*words[:at], *more, *words[at:]]


def _without_cluster(command: Sequence[str]) -> list[str]:
    """The command without the cluster that it used, which may be gone: the results are the same."""
    words: list[str] = []
    given = iter(command)
    for word in given:
        if word == "--cluster":
            next(given, None)
        elif word == "--":
            return [*words, word, *given]
        elif not word.startswith("--cluster=") and word != "--send-photos":
            words.append(word)
    return words


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "anthropo", *command], cwd=folder, capture_output=True, text=True
    )
    if done.returncode not in (0, 1, 3):  # 1 and 3: photos that failed, as they may have done before
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise AnthropoError(f"The command cannot be run again: {last.removeprefix('Error: ')}")


def _inputs(parameters: Mapping[str, Any], folder: Path | None = None) -> dict[str, str]:
    """The hashes of the files that parameters name, and of the photos in tables and folders."""
    paths: dict[str, str] = {}
    for name, value in parameters.items():
        words = () if name in _NO_INPUT else _words(value)
        if name in _ENCODERS:
            words = [file for one in words for file in encoder_files(one, folder or Path())]
        for word in words:
            path = (folder or Path()) / word
            if path.is_file():
                paths[word] = str(path)
            for photo in _photos(path) if path.exists() else ():
                paths[f"{word}: {sha256(os.path.relpath(photo, path).encode()).hexdigest()[:16]}"] = photo
    hashes = choose(available_cores(), len(paths)).in_order(_hash, paths.values())
    return {name: unless_lost(one, paths[name]) for name, one in zip(paths, hashes, strict=True)}


#: Parameters that may name several encoders.
_ENCODERS = ("encoder", "encoder_weights")


def _hash(path: str) -> str:
    return file_sha256(path) if os.path.isfile(path) else "missing"


def _photos(path: Path) -> Iterable[str]:
    try:
        if path.is_dir():
            return [*photographs_in(path), *_annotations(path)]
        return [item.path for item in read_photo_table(path).items] if is_table(path) else ()
    except InputError:  # a table of something else
        return ()


def _annotations(folder: Path) -> list[str]:
    """Files of a folder that hold points of its photos."""
    return sorted(str(one) for one in folder.rglob("*") if one.name.endswith(_ANNOTATIONS))


def _words(value: Any) -> Iterable[str]:
    """The words of a parameter that may be names of files."""
    if isinstance(value, str):
        return (value,) if value else ()
    return [word for word in value if isinstance(word, str)] if isinstance(value, (list, tuple)) else ()


def _hashes(path: Path) -> dict[str, str]:
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return {str(one.relative_to(path.parent)): file_sha256(one) for one in files}


def _changed(what: str, then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    gone = [f"{what} {name} is gone" for name in then if name not in now]
    new = [f"{what} {name} is new" for name in now if name not in then]
    return [
        *gone,
        *new,
        *(f"{what} {name} has changed" for name in then if now.get(name, then[name]) != then[name]),
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _versions(wanted: Iterable[str] = (), *, behind_cache: Collection[str] = ()) -> dict[str, str]:
    """Versions of the libraries that have been imported, of those that are wanted and behind the cache."""
    versions = {"anthropo": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        module = importlib.import_module(name) if name in wanted else sys.modules.get(name)
        if module is not None:
            versions[name] = str(getattr(module, "__version__", ""))
        elif name in behind_cache:
            with contextlib.suppress(metadata.PackageNotFoundError):
                versions[name] = metadata.version(name)
    return versions


def _behind_cache(parameters: Mapping[str, Any]) -> set[str]:
    """Libraries that embeddings rest on, although this run may have found them all in the cache.

    Without them the manifest of a run would depend on what an earlier one left behind.
    """
    if not {"encoder", "model"}.intersection(parameters):  # a command without embeddings
        return set()
    names = str(parameters.get("encoder") or "")
    of_torch = {"torch"} if "timm:" in names or is_network_file(names) else set()
    return {"onnxruntime", *of_torch, *({"timm"} if "timm:" in names else ())}


def _processor() -> dict[str, str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            name = next(
                (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), ""
            )
    except OSError:
        name = ""
    processor = {"name": name, "machine": platform.machine(), "system": platform.system()}
    return processor | {key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}
