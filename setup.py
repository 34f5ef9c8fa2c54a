"""Compiles anthropo.face._engine against dlib's own C++ sources; everything else is in setup.cfg."""

from __future__ import annotations

import configparser
import hashlib
import os
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup
from setuptools.errors import CompileError, SetupError

HERE = Path(__file__).parent
PINNED = configparser.ConfigParser()
PINNED.read(HERE / "setup.cfg", encoding="utf-8")
VERSION = PINNED["dlib"]["version"]


def dlib_sources(work: Path) -> tuple[Path, str]:
    """The folder that holds dlib/, and its version; downloaded once into the build folder."""
    override = os.environ.get("DLIB_SOURCE")
    if override:
        root = Path(override)
        if root.name == "dlib" and (root / "image_processing").is_dir():
            root = root.parent
        if not (root / "dlib" / "image_processing" / "shape_predictor.h").is_file():
            raise SetupError(
                f"DLIB_SOURCE={override}: no dlib/image_processing/shape_predictor.h there. "
                "Point it at an unpacked dlib source folder."
            )
        return root, "DLIB_SOURCE"

    root = work / f"dlib-{VERSION}"
    if (root / "dlib" / "image_processing" / "shape_predictor.h").is_file():
        return root, VERSION
    work.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "dlib"]
    command += ["--no-build-isolation", "--dest", str(work), f"dlib=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True)
    sdist = work / f"dlib-{VERSION}.tar.gz"
    if done.returncode != 0 or not sdist.is_file():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SetupError(
            f"dlib {VERSION}'s sources could not be downloaded ({last}). Check the connection to the "
            "package index, or unpack the dlib sdist somewhere and set DLIB_SOURCE to that folder."
        )
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if digest != PINNED["dlib"]["sha256"]:
        raise SetupError(f"{sdist.name}: SHA-256 {digest} is not the pinned one. Delete it and build again.")
    with tarfile.open(sdist) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(work, filter="data")
        else:
            archive.extractall(work)
    return root, VERSION


def project_urls() -> dict[str, str]:
    """Where the project lives, for the metadata; whoever publishes it knows, and sets ANTHROPO_URL."""
    address = os.environ.get("ANTHROPO_URL", "").strip().rstrip("/")
    if not address:
        return {}
    if not address.startswith("https://") or any(c.isspace() for c in address):
        raise SetupError(f"ANTHROPO_URL={address}: not the https:// address of the project's repository.")
    return {
        "Source": address,
        "Issues": f"{address}/issues",
        "Changelog": f"{address}/blob/main/CHANGELOG.md",
        "Documentation": f"{address}/blob/main/docs/index.md",
    }


class BuildEngine(build_ext):
    def build_extensions(self) -> None:
        # inside the folder of this build: one beside it could be anybody's, as in /tmp for editable installs
        root, version = dlib_sources(Path(self.build_temp) / "dlib")
        # absolute, or their objects would lie as far outside of the build folder as DLIB_SOURCE does
        folder = root.resolve() / "dlib"
        ours = [list(extension.sources) for extension in self.extensions]
        for extension in self.extensions:
            extension.include_dirs.append(str(root))
            extension.sources += [
                str(folder / "base64" / "base64_kernel_1.cpp"),
                str(folder / "entropy_decoder" / "entropy_decoder_kernel_2.cpp"),
                str(folder / "test_for_odr_violations.cpp"),
            ]
            extension.define_macros += [
                ("DLIB_NO_GUI_SUPPORT", None),
                ("DLIB_SOURCE_VERSION", f'"{version}"'),
            ]
        try:
            super().build_extensions()
        except CompileError as error:
            raise SetupError(
                f"anthropo's C++ engine did not compile ({error}). A C++14 compiler is needed: "
                "Debian/Ubuntu `apt-get install g++`, macOS `xcode-select --install`, Windows the "
                "Visual Studio Build Tools."
            ) from None
        finally:
            for extension, sources in zip(self.extensions, ours, strict=True):
                extension.sources = sources  # of which the sdist is made


if platform.system() == "Windows":
    FLAGS = ["/O2", "/fp:precise"]
else:
    # no contraction into fused multiply-add: landmarks must equal dlib's on every processor
    FLAGS = ["-O3", "-ffp-contract=off", "-Wno-unused-parameter", "-pthread"]
LINK = [] if platform.system() == "Windows" else ["-pthread"]
if os.environ.get("ANTHROPO_SANITIZE") == "1":
    # every wrong read, write, shift, conversion or overflow ends the process: `make sanitize`
    LINK += ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
    FLAGS += ["-O0", "-g1", *LINK]  # to compile optimised takes three times as long

# each has a header of its name but module.cpp; arrays.hpp is everybody's
SOURCES = [
    f"anthropo/face/engine/{n}.cpp"
    for n in (
        "module",
        "arrays",
        "images",
        "detector",
        "packed",
        "forest",
        "layers",
        "trainer",
        "patch_network",
        "cover_network",
    )
]

ParallelCompile(default=0).install()  # the files of the engine at once, on every core
setup(
    ext_modules=[
        Pybind11Extension(
            "anthropo.face._engine",
            SOURCES,
            depends=sorted(str(p.relative_to(HERE)) for p in HERE.glob("anthropo/face/engine/*.hpp")),
            cxx_std=14,
            extra_compile_args=FLAGS,
            extra_link_args=LINK,
        )
    ],
    cmdclass={"build_ext": BuildEngine},
    project_urls=project_urls(),
)
