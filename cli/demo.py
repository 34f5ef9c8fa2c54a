"""anthropo demo"""

from __future__ import annotations

import time
from pathlib import Path

import click

from anthropo.cli import options
from anthropo.cli.common import in_one_sentence, progress
from anthropo.cli.sections import Sectioned
from anthropo.plain import minus, say


@click.command(cls=Sectioned)
@click.argument("folder", metavar="[FOLDER]", default="anthropo-demo")
@click.option("--patients", type=click.IntRange(10, 1000), default=40, help="Patients of each label.")
@options.names_option(
    "--labels",
    "LABEL,…",
    "Two or more of control, synthetic-A, synthetic-B, synthetic-C.",
    default="control,synthetic-A",
)
@click.option("--photos-only", is_flag=True, help="Only make the pictures and their table.")
@options.jobs_option
@options.permissive_option
def command(folder: str, patients: int, labels: tuple[str, ...], photos_only: bool, jobs: int) -> None:
    """Run all steps on SYNTHETIC people, whose pictures are made in FOLDER.

    One public photo is morphed by known amounts: shorter palpebral fissures, a thinner lip and so on,
    with variation of identity, pose, light and skin tone. No picture shows a real patient, no label is a
    disease, and no figure says anything about real people.

    Makes the cohort, trains a model, classifies and explains a picture that the model has not seen,
    evaluates, and lists the files.

    \b
    Exit code: 0 done, 2 wrong use, 130 interrupted.

    \b
    Examples:
      anthropo demo
      anthropo demo /tmp/demo --labels control,synthetic-A,synthetic-B --patients 60
      anthropo demo study --photos-only      something to try the other commands on
    """
    with in_one_sentence(f"what was made is in {folder}; remove it, or name another folder, to start again."):
        if photos_only:
            photos(Path(folder), patients, labels, jobs)
        else:
            run(Path(folder), patients, labels, jobs)


def photos(folder: Path, patients: int, labels: tuple[str, ...], jobs: int) -> None:
    """The pictures alone, for who wants to go through the steps by hand."""
    from anthropo.workflows.demonstration import make_people

    people = make_people(folder, patients=patients, labels=labels, jobs=jobs)
    say(
        f"{people.cohort}: {patients} SYNTHETIC people of each of {', '.join(labels)}. All are one photo, "
        "morphed.\n"
        f"{people.cohort.with_name('truth.csv')}: what was changed in each.\n"
        f"{people.photo}: another person, made as {labels[-1]}."
    )


def run(folder: Path, patients: int, labels: tuple[str, ...], jobs: int) -> None:
    """The steps of `anthropo.demo`, each shown as it is done."""
    from anthropo.cli.evaluate import write_evaluations
    from anthropo.cli.train import show_trained
    from anthropo.report.answers import print_answer
    from anthropo.report.evaluation import print_evaluation
    from anthropo.report.explanation.page import write_explanation
    from anthropo.report.explanation.words import changes_words
    from anthropo.workflows.demonstration import SYNTHETIC, judge_on, make_people, train_on
    from anthropo.workflows.model import Model, load_model

    start = time.perf_counter()
    _step("1. SYNTHETIC people", f"{patients} of each of {', '.join(labels)}")
    people = make_people(folder, patients=patients, labels=labels, jobs=jobs)
    cohort, model, photo = people.cohort, people.model, people.photo
    say(f"{cohort}: one photo, morphed. Amounts are in {cohort.with_name('truth.csv')}.")

    _step("2. Train", f"anthropo train {cohort} -o {model} --allow-duplicates")
    say("--allow-duplicates because all pictures are of one photo; real cohorts do without.")
    material, training = train_on(people, progress=progress)
    show_trained(training)
    say(f"{model}: {model.stat().st_size / 1e6:.1f} MB")

    _step("3. Classify", f"anthropo classify --model {model} {photo}")
    loaded = load_model(model)
    assert isinstance(loaded, Model)
    for prediction in loaded.classify(photo, reading=people.reading).predictions:
        print_answer(prediction, loaded.trained, 5)
    say(f"It was made as {labels[-1]}.")

    why = folder / "explanation.html"
    _step("4. Explain", f"anthropo explain --model {model} {photo} -o {why}")
    case = loaded.explain(photo, reading=people.reading)
    write_explanation(why, case, notes=[SYNTHETIC])  # where no reader of the page can miss it
    explained = case.explanation.labels[0]
    say(f"{explained.label}: log-odds {explained.log_odds:+.2f}, of which")
    for c in explained.contributions[:5]:
        say(f"  {minus(f'{c.log_odds:+.2f}')}  {c.kind} {c.name}")
    say("\n".join(changes_words(case)))

    report = folder / "evaluation.html"
    _step("5. Evaluate", f"anthropo evaluate {cohort} -o {report} --allow-duplicates")
    (made,) = judge_on(material, training).evaluations
    print_evaluation(made)
    write_evaluations(report, [made])

    _step("Done", f"{time.perf_counter() - start:.0f} seconds. All of it is SYNTHETIC.")
    say(f"open   {why}\n       {report}")
    say(f"model  {model}   (anthropo inspect {model})\nphotos {cohort.parent}")


def _step(what: str, how: str) -> None:
    say(f"\n{what}  ", bold=True, fg="cyan", nl=False)
    say(how)
