"""Every recipe at its published size on a GPU: speed, memory, half precision, and whether answers agree.

    python benchmarks/gpu.py OUT [--device cuda] [--seconds 300] [--only NAME …] [--tiny]

The pictures are made on the spot: windows of scikit-image's astronaut with noise, and with a coarse pattern
for each label or person, which is what can be learned. Options that are not the recipe's are printed;
ImageNet's weights, which are not shipped, are replaced by random ones. Each recipe is trained with half
precision and without, is interrupted in an epoch and continued, and answers on the CPU and the GPU from its
file. `--tiny` makes everything small enough for a CPU. OUT gets gpu.json and gpu.md, written after every
step; a step that would begin after so many seconds is left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from anthropo.decoding.limits import Limits
from anthropo.errors import InputError
from anthropo.learning.duplicates import PRINT_SIDE
from anthropo.learning.features import Features
from anthropo.networks.checkpoints import folder_of
from anthropo.networks.compare import FIVE
from anthropo.networks.export import export
from anthropo.networks.finetuning import Finetuned, finetune
from anthropo.networks.judging import pictures_to_answer
from anthropo.networks.network import Network, flat
from anthropo.networks.objective import MONITORED
from anthropo.networks.pictures import CohortPictures, Pictures
from anthropo.networks.recipes import Recipe, load_recipe
from anthropo.networks.training_loop import Step, device_of, exact
from anthropo.networks.training_set import TrainingSet, training_set, view_of
from anthropo.networks.units import TEST
from anthropo.settings import Settings

GRID, STRENGTH, NOISE = 6, 45, 12  # cells across a pattern; grey levels, either way
PEOPLE = 10_575  # of CASIA-WebFace, which the identity stage was published with
#: How far a network's probabilities on the GPU may be from the CPU's: both round to 24 bits, but add up in
#: another order, through a hundred layers and more; the same as `anthropo export` allows ONNX.
TOLERANCE = 1e-4
LOST = "warm_start=none"  # in place of ImageNet's weights
#: Recipe, photos, options that are not the recipe's.
PUBLISHED: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "deepgestalt": (
        "deepgestalt",
        1200,
        ("identity=patient", "identity_epochs=1", "identity_settling_epochs=1", "epochs=5"),
    ),
    "skin-five": ("skin-five", 600, (LOST, "epochs=3")),
    "risk-grading": ("risk-grading", 600, (LOST, "epochs=3", "grades=low,middle,high")),
    "attributes": ("attributes", 1200, ("epochs=4",)),
    "differential": ("differential", 600, (LOST, "epochs=3")),
    "skin, EfficientNet-Lite0": ("skin-five", 600, ("warm_start=efficientnet-lite0", "epochs=4")),
}
TINY = ("batch=8", "mirror=false", "epochs=2")
SIDES = {"deepgestalt": 32, "face-resnet-map": 64, "efficientnet-lite0": 32}  # px, of what --tiny keeps


# ------------------------------------------------------------------------------------------- the pictures


def drawn(patterns: NDArray[np.float64], size: int, views: int, random: np.random.Generator) -> Any:
    """Pictures (n, views, size, size, 3) of the astronaut's face that show a pattern (n, GRID, GRID) each."""
    from skimage.data import astronaut

    face, windows = Image.fromarray(astronaut()[:260, 90:350]), []
    for x, y, side in random.integers((0, 0, 150), (60, 60, 200), (64, 3)):
        windows.append(
            np.asarray(face.resize((size, size), Image.Resampling.BILINEAR, (x, y, x + side, y + side)))
        )
    known = np.stack(windows).astype(np.int16)
    out = np.empty((len(patterns), views, size, size, 3), np.uint8)
    wide = -(-size // GRID)
    for start in range(0, len(patterns), 128):
        part = patterns[start : start + 128].astype(np.int16)
        shown = part.repeat(wide, 1).repeat(wide, 2)[:, None, :size, :size, None]
        pixels = known[random.integers(len(known), size=(len(part), views))]
        pixels += shown
        pixels += random.integers(-NOISE, NOISE + 1, pixels.shape, dtype=np.int8)
        out[start : start + 128] = np.clip(pixels, 0, 255)
    return out


def patterns(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    return STRENGTH * random.choice([-1.0, 1.0], (count, GRID, GRID))


def photos_of(
    recipe: Recipe, shown: NDArray[np.float64], labels: list[str], patients: list[str], **metadata: list[Any]
) -> CohortPictures:
    """The cohort as `read_pictures` would give it, with pictures that show these patterns."""
    parameters, n, random = recipe.parameters, len(labels), np.random.default_rng(1)
    view, names = view_of(parameters), np.array([f"{i}.jpg" for i in range(n)])
    features = Features(
        photos=names, labels=np.array(labels), patients=np.array(patients), measurements=np.empty((n, 0)),
        measurement_ids=(), regions={}, metadata=metadata, digests=np.array([f"{i:064x}" for i in range(n)]),
        prints=np.zeros((n, PRINT_SIDE**2), np.float32),
    )  # fmt: skip
    pictures = Pictures(
        view=view, photos=tuple(names.tolist()), frames=(None,) * n, limits=Limits(),
        pose=random.normal(0, 0.3, (n, 3)).astype(np.float32),
        kept=drawn(shown, parameters.size, len(view.names), random),
    )  # fmt: skip
    settings, kinds = Settings(no_face=not view.needs_face), {"age": "age", "sex": "sex"}
    return CohortPictures(
        pictures=pictures,
        features=features,
        kinds=kinds if metadata else {},
        settings=settings,
        source="made",
    )


def material_of(recipe: Recipe, n: int) -> TrainingSet:
    """Photos that the recipe can learn from."""
    random = np.random.default_rng(0)
    if recipe.task == "attributes":
        known, names = patterns(5, random) / 2, np.array(["ptosis", "smile", "beard", "glasses", "hat"])
        has = random.random((n, 5)) < 0.4
        labels = ["; ".join(names[row]) for row in has]
        shown = np.einsum("na,ahw->nhw", has.astype(float), known)
        return training_set(recipe, photos_of(recipe, shown, labels, [f"p{i}" for i in range(n)]))
    if recipe.task == "cases":
        patients = np.repeat(np.arange(n), random.integers(1, 7, n))[:n]  # one to six photos
        which = patients % 3
        gone = random.random((n, 2)) < 0.2
        ages = [float("nan") if g else 20.0 + p % 40 for g, p in zip(gone[:, 0], patients, strict=True)]
        sexes = [None if g else ("female", "male")[p % 2] for g, p in zip(gone[:, 1], patients, strict=True)]
        shown, labels = patterns(3, random)[which], [f"disease {c}" for c in which]
        photos = photos_of(recipe, shown, labels, [f"p{p}" for p in patients], age=ages, sex=sexes)
        return training_set(recipe, photos)
    names = recipe.parameters.grades or [f"syndrome {c}" for c in range(6)]
    patients = np.arange(n) // 2  # two photos of each, which the identity stage needs
    which = patients % len(names)
    shown = patterns(len(names), random)[which] + patterns(n, random)[patients] / 3
    return training_set(
        recipe, photos_of(recipe, shown, [names[c] for c in which], [f"p{p}" for p in patients])
    )


# -------------------------------------------------------------------------------------------- a training


class Stopped(Exception):
    """In place of a crash."""


class Watch:
    """Reports of a training, with the time of each."""

    def __init__(self, stop: bool = False) -> None:
        self.seen: list[tuple[float, Step]] = []
        self.stop = stop  # in the middle of the second epoch of the last stage

    def __call__(self, now: Step) -> None:
        self.seen.append((time.perf_counter(), now))
        if self.stop and now.stage == "training" and now.epoch == 2 and now.step == max(1, now.steps // 2):
            raise Stopped

    def speed(self, stage: str, batch: int) -> tuple[float, float]:
        """Units per second while the last epoch's steps ran, and seconds of all that belongs to it."""
        done = [t for t, now in self.seen if now.stage == stage and now.step == now.steps]
        last = max(now.epoch for _, now in self.seen if now.stage == stage)
        steps = [
            t for t, now in self.seen if (now.stage, now.epoch) == (stage, last) and now.step < now.steps
        ]
        whole = done[-1] - (done[-2] if len(done) > 1 else self.seen[0][0])
        rate = (len(steps) - 1) * batch / (steps[-1] - steps[0]) if len(steps) > 1 else float("nan")
        return rate, whole


class Bench:
    """Trains on a device and writes down what was found."""

    def __init__(self, out: Path, device: torch.device, tiny: bool) -> None:
        self.out, self.device, self.tiny = out, device, tiny
        self.start, self.rows, self.notes = time.perf_counter(), [], []
        self._folder = tempfile.TemporaryDirectory()  # goes when the program ends
        self.work = Path(self._folder.name)
        gpu = device.type == "cuda"
        card = torch.cuda.get_device_name(device) if gpu else "CPU"
        self.about = {
            "card": card, "torch": torch.__version__, "cuda": torch.version.cuda, "tiny": tiny,
            "cudnn": torch.backends.cudnn.version() if gpu else None, "threads": torch.get_num_threads(),
        }  # fmt: skip

    def say(self, text: str) -> None:
        print(f"{time.perf_counter() - self.start:6.1f} s  {text}", flush=True)

    def note(self, text: str, ok: bool = True) -> None:
        """A finding that is no row of the table; `ok`: whether it is as it should be."""
        self.notes.append({"text": text, "ok": ok})
        self.say(("" if ok else "NOT AS WANTED: ") + text)
        self.save()

    def row(self, **columns: Any) -> dict[str, Any]:
        """A row of the table, whose columns may be added to until the next one."""
        self.rows.append(columns)
        self.say(", ".join(f"{k} {shown(v)}" for k, v in columns.items()))
        self.save()
        return columns

    def save(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        whole = {
            **self.about,
            "seconds": time.perf_counter() - self.start,
            "rows": self.rows,
            "notes": self.notes,
        }
        (self.out / "gpu.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False), "utf-8")
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        lines = [f"{', '.join(f'{k} {v}' for k, v in self.about.items() if v is not None)}", ""]
        lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        lines += [f"| {' | '.join(shown(row.get(c, '')) for c in columns)} |" for row in self.rows]
        lines += ["", *(f"- {'' if n['ok'] else '**Not as wanted.** '}{n['text']}" for n in self.notes)]
        (self.out / "gpu.md").write_text("\n".join(lines) + "\n", "utf-8")

    def recipe(self, name: str, *changes: str) -> Recipe:
        recipe = load_recipe(name, None, changes)
        if self.tiny:
            backbone = recipe.parameters.backbone if recipe.parameters.backbone in SIDES else "deepgestalt"
            small = (*TINY, f"backbone={backbone}", f"size={SIDES[backbone]}")
            recipe = load_recipe(name, None, (*changes, *small))
        return recipe

    def train(self, material: TrainingSet, folder: str, watch: Watch, **more: Any) -> tuple[Finetuned, float]:
        """The trained network, and the largest memory of the GPU in GiB."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        made = finetune(material, folder=self.work / folder, device=self.device, report=watch, **more)
        return made, torch.cuda.max_memory_allocated() / 2**30 if self.device.type == "cuda" else 0.0


def shown(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def described(made: Finetuned, stage: str) -> dict[str, Any]:
    """Loss of the first and last epoch of a stage and what was watched, of the first view."""
    network = made.network
    epochs = [e for e in network.about.history[network.views[0]] if e.stage == stage]
    losses, metric = [e.loss for e in epochs], epochs[-1].metric
    figure = "none" if metric is None else f"{MONITORED[network.task]} {metric:.3f}"
    return {"epochs": len(epochs), "loss": " → ".join(f"{v:.3f}" for v in losses), "validation": figure}


def apart(one: Network, other: Network) -> float:
    """The largest difference between two networks' weights."""
    pairs = zip(one.modules, other.modules, strict=True)
    return max(float(np.abs(flat(a) - flat(b)).max()) for a, b in pairs)


# --------------------------------------------------------------------------------------------- the steps


def trained(
    bench: Bench, title: str, material: TrainingSet, folder: str, stage: str = "training"
) -> tuple[Finetuned, dict[str, Any], Watch]:
    """A network, the row of the table that it gets, and its reports."""
    parameters, watch = material.recipe.parameters, Watch()
    made, peak = bench.train(material, folder, watch)
    rate, whole = watch.speed(stage, parameters.batch)
    row = bench.row(
        network=f"{title} ({parameters.backbone}, {parameters.size} px)", precision=parameters.precision,
        weights=f"{made.network.parameters / 1e6:.1f} M", batch=parameters.batch,
        **{"per second": rate, "s per epoch": whole, "peak GiB": peak}, **described(made, stage),
    )  # fmt: skip
    fell(bench, title, made, stage)
    return made, row, watch


def published(bench: Bench, name: str) -> None:
    """A recipe with half precision and without, its file on both devices, and an interruption."""
    recipe_name, n, changes = PUBLISHED[name]
    n = 60 if bench.tiny else n
    material = material_of(bench.recipe(recipe_name, *changes), n)
    parameters = material.recipe.parameters
    bench.say(f"{name}: {n} photos of {parameters.size} px, {' '.join(changes)}, batch {parameters.batch}")
    title = f"{name}, cases" if parameters.images > 1 else name
    for precision in ("mixed", "full"):
        chosen = replace(material.recipe, parameters=replace(parameters, precision=precision))
        try:
            this = replace(material, recipe=chosen)
            made, row, _ = trained(bench, title, this, f"{name} {precision}")
        except InputError as error:  # the other one is worth having
            bench.note(f"{name}, {precision}: {error}", False)
            continue
        if precision == "mixed":
            if parameters.identity != "none":
                fell(bench, name, made, "identity", told=True)
            row["CPU − GPU"] = on_both(bench, name, made, material)
            going_on(bench, name, this, made.network)


def fell(bench: Bench, name: str, made: Finetuned, stage: str, *, told: bool = False) -> None:
    """Note a loss that did not fall; with `told` one that did as well."""
    for view, epochs in made.network.about.history.items():
        losses = [e.loss for e in epochs if e.stage.startswith(stage)]
        down = len(losses) == 1 or losses[-1] < losses[0]
        if told or not down:
            bench.note(f"{name}, {view}, {stage}: loss {' → '.join(f'{v:.3f}' for v in losses)}.", down)


def on_both(bench: Bench, name: str, made: Finetuned, material: TrainingSet) -> float:
    """The network's file, read on the CPU and put on the GPU: the largest difference of probabilities."""
    path = bench.work / "net.anthropo"
    made.network.save(path)
    chosen = material.units.chosen(TEST)[:24]
    known = material.units.metadata
    network = Network.load(path)
    chips = network.by_view(pictures_to_answer(network, material.photos.pictures, material.units, chosen))

    def answers() -> NDArray[np.float64]:
        return network.probabilities(chips, None if known is None else known[chosen])

    cpu = answers()
    for module in network.modules:
        module.to(bench.device)
    with exact(bench.device):
        gpu = answers()
    rounded = answers()  # as torch would have it: TF32
    with torch.autocast(bench.device.type, enabled=bench.device.type == "cuda"):
        half = answers()
    gone = {key: float(np.abs(p - cpu).max()) for key, p in (("", gpu), ("tf32", rounded), ("half", half))}
    bench.note(
        f"{name}: probabilities of {len(chosen)} on the GPU differ from the CPU's by {gone['']:.2g} at most "
        f"(TF32 {gone['tf32']:.2g}, half precision {gone['half']:.2g}; {TOLERANCE:g} allowed), range "
        f"{cpu.min():.3f} to {cpu.max():.3f}; file {path.stat().st_size / 1e6:.1f} MB.",
        gone[""] <= TOLERANCE,
    )
    return gone[""]


def going_on(bench: Bench, name: str, material: TrainingSet, whole: Network) -> None:
    """Stopped in the middle of the second epoch, and continued."""
    folder, watch = f"{name} stopped", Watch(stop=True)
    try:
        bench.train(material, folder, watch)
    except Stopped:
        torch.manual_seed(7)  # what chance stands at now must not matter
    again, _ = bench.train(material, folder, Watch())
    far = apart(again.network, whole)
    bench.note(
        f"{name}: stopped in epoch 2 and continued, weights differ by {far:.2g} from an uninterrupted run.",
        far == 0,
    )


def identity(bench: Bench) -> None:
    """The identity stage with as many people as it was published with."""
    people, each = (60, 4) if bench.tiny else (PEOPLE, 2)
    random = np.random.default_rng(2)
    which = np.repeat(np.arange(people), each)
    shown_of = patterns(people, random)[which]
    recipe = bench.recipe("deepgestalt", "views=face")
    others = photos_of(recipe, shown_of, ["-"] * len(which), [f"p{i:05}" for i in which])
    few = material_of(recipe, 60 if bench.tiny else 240).photos
    for precision, epochs in ("mixed", (2, 1)), ("full", (1, 0)):
        stages = f"identity_epochs={epochs[0]}", f"identity_settling_epochs={epochs[1]}"
        recipe = bench.recipe("deepgestalt", "views=face", "epochs=1", f"precision={precision}", *stages)
        material, title = training_set(recipe, few, others), f"identity stage, {people} people"
        made, row, watch = trained(bench, title, material, f"identity {precision}", "identity")
        row["steps"] = sum(s.step < s.steps and s.stage.startswith("identity") for _, s in watch.seen)
        begun = [s.loss for _, s in watch.seen][:20][-1]
        if precision == "mixed":
            bench.note(f"{title}: loss of the first 20 steps {begun:.3f}, by chance {np.log(people):.3f}.")
            fell(bench, title, made, "identity", told=True)


def write_photos(folder: Path, n: int, side: int) -> Path:
    """cohort.csv with n JPEGs of two labels."""
    random = np.random.default_rng(3)
    folder.mkdir()
    pictures = drawn(patterns(2, random)[np.arange(n) % 2], side, 1, random)[:, 0]
    with (folder / "cohort.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["photo", "label"])
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / f"{i}.jpg", quality=92)
            writer.writerow([f"{i}.jpg", ("benign", "malignant")[i % 2]])
    return folder / "cohort.csv"


def killed(bench: Bench) -> None:
    """The command line, killed in the midst of an epoch and run again; then its file as ONNX."""
    table = write_photos(bench.work / "photos", 40 if bench.tiny else 400, 64 if bench.tiny else 320)
    nets = [bench.work / f"{name}.anthropo" for name in ("whole", "killed")]
    sizes = ("batch=8", "size=32") if bench.tiny else ("batch=32",)
    changes = [part for change in (*sizes, "epochs=6", "patience=0") for part in ("--set", change)]
    command = [
        sys.executable,
        "-c",
        "from anthropo.cli import main; main()",
        "finetune",
        str(table),
        "--recipe",
    ]
    command += ["skin-five", "--warm-start", "efficientnet-lite0", "--no-face", "--device", bench.device.type]
    command += [*changes, "--allow-duplicates", "-o"]

    def start(net: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*command, str(net)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    other = start(nets[0])
    process = start(nets[1])
    file, written, deadline = folder_of(nets[1]) / "image.npz", set(), time.monotonic() + 120
    while len(written) < 2 and process.poll() is None and time.monotonic() < deadline:
        if file.exists():
            written.add(file.stat().st_mtime_ns)
        time.sleep(0.01)
    time.sleep(0.1)
    process.kill()
    process.wait()
    alive = nets[1].exists()
    again = start(nets[1])
    errors = [p.communicate()[1].decode()[-400:] for p in (other, process, again)]
    if other.returncode or again.returncode or process.returncode != -signal.SIGKILL:
        bench.note(f"anthropo finetune: {errors}", False)
        return
    whole, one = map(Network.load, nets)
    far = apart(one, whole)
    bench.note(
        f"anthropo finetune, killed (-9) after {len(written)} epochs and run again: weights differ by "
        f"{far:.2g} from an uninterrupted run; {one.about.history['image'][-1]}.",
        far == 0 and not alive and len(written) == 2,
    )
    exported = export(one, bench.work / "net.onnx")
    bench.note(f"its file as ONNX: {exported}.")


def files(bench: Bench) -> None:
    """Pictures that are cut from files in every epoch, as those of half a million faces have to be."""
    n = 40 if bench.tiny else 1500
    table = write_photos(bench.work / "faces", n, 250)
    view = view_of(bench.recipe("deepgestalt", "views=face").parameters)
    frame = np.array([[250.0, 0, 0], [0, 250.0, 0]])
    pictures = Pictures(
        view=view, photos=tuple(str(table.parent / f"{i}.jpg") for i in range(n)), frames=(frame,) * n,
        pose=np.zeros((n, 3), np.float32), kept=None, limits=Limits(),
    )  # fmt: skip
    for jobs in (1, os.cpu_count() or 1):
        threads, begun = replace(pictures, jobs=jobs), time.perf_counter()
        for start in range(0, n, 32):
            threads.of(range(start, min(start + 32, n)), "face")
        rate = n / (time.perf_counter() - begun)
        bench.note(f"pictures cut from files of 250 px, {jobs} jobs: {rate:.0f} per second.")


def too_large(bench: Bench) -> None:
    """A GPU whose memory is not enough: one sentence."""
    if bench.device.type != "cuda":
        return
    material = material_of(bench.recipe("skin-five", "backbone=resnet50", LOST, "epochs=1", "batch=64"), 300)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        bench.train(material, "too large", Watch())
        bench.note("a batch that is too large for the memory was taken.", False)
    except InputError as error:
        bench.note(f"a batch that is too large: {error}")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def five(bench: Bench) -> None:
    """The other networks of skin-five, with half precision."""
    for backbone in FIVE[:-1]:
        recipe = bench.recipe("skin-five", f"backbone={backbone}", LOST, "epochs=2")
        trained(bench, "skin-five", material_of(recipe, 60 if bench.tiny else 300), backbone)


STEPS: dict[str, Callable[[Bench], None]] = {
    "deepgestalt": lambda bench: published(bench, "deepgestalt"),
    "identity": identity,
    **{
        name: (lambda bench, name=name: published(bench, name))  # type: ignore[misc]
        for name in ("skin-five", "risk-grading", "attributes", "differential")
    },
    "killed": killed,
    "efficientnet": lambda bench: published(bench, "skin, EfficientNet-Lite0"),
    "files": files,
    "too-large": too_large,
    "five": five,
}  # the first first: time may not be enough for all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--only", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    bench = Bench(arguments.out, device_of(arguments.device), arguments.tiny)
    bench.say(str(bench.about))
    for name in arguments.only:
        if time.perf_counter() - bench.start > arguments.seconds:
            bench.note(f"{name}: left out for want of time.", False)
            continue
        try:
            STEPS[name](bench)
        except Exception:  # the other steps are worth having
            bench.note(f"{name}: {traceback.format_exc()[-1500:]}", False)
    bench.say(f"done; {sum(not n['ok'] for n in bench.notes)} not as wanted")


if __name__ == "__main__":
    main()
