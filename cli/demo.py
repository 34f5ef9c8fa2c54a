"""anthropo demo"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import click

from anthropo.cli import options
from anthropo.cli.common import in_one_sentence, progress
from anthropo.errors import InputError
from anthropo.plain import say
from anthropo.workflows.cohort import PhotoReading, TrainRequest, gather

_SYNTHETIC = (
    "SYNTHETIC: every picture is one public photograph, morphed. No figure here says anything about real "
    "people."
)


@click.command(short_help="Train, classify, explain and evaluate on invented people.")
@click.argument("folder", metavar="[FOLDER]", default="anthropo-demo")
@click.option("--patients", type=click.IntRange(10, 1000), default=40, help="Of each label.")
@options.names_option(
    "--labels",
    "LABEL,…",
    "Two or more of control, synthetic-A, synthetic-B, synthetic-C.",
    default="control,synthetic-A",
)
@options.jobs_option
def command(folder: str, patients: int, labels: tuple[str, ...], jobs: int) -> None:
    """Run all steps on SYNTHETIC people, whose pictures are made in FOLDER.

    One public photograph is morphed by known amounts: shorter palpebral fissures, a thinner lip and so on,
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
    """
    with in_one_sentence(f"what was made is in {folder}; remove it, or name another folder, to start again."):
        if len(labels) < 2:
            raise InputError(f"--labels {', '.join(labels)}: two labels or more are needed.")
        run(Path(folder), patients, labels, jobs)


def run(folder: Path, patients: int, labels: tuple[str, ...], jobs: int) -> None:
    """Make, train, classify, explain, evaluate."""
    from anthropo.cli.evaluate import write_evaluations
    from anthropo.cli.train import show_trained
    from anthropo.learning.judging import Question
    from anthropo.report.answers import print_answer
    from anthropo.report.evaluation import print_evaluation
    from anthropo.report.explanation.page import write_explanation
    from anthropo.report.explanation.words import changes_words
    from anthropo.synthetic import make_cohort
    from anthropo.workflows.evaluation import evaluations_of
    from anthropo.workflows.model import load_model
    from anthropo.workflows.training import train

    start = time.perf_counter()
    _step("1. SYNTHETIC people", f"{patients} of each of {', '.join(labels)}")
    cohort = make_cohort(folder / "cohort", patients, labels, jobs=jobs)
    seen_not = make_cohort(folder / "new", 1, labels[-1:], seed=1, jobs=jobs)
    say(f"{cohort}: one photograph, morphed. Amounts are in {cohort.with_name('truth.csv')}.")

    cache = str(folder / "cache")
    request = TrainRequest(allow_duplicates=True, reading=PhotoReading(jobs=jobs, cache=cache))
    _step("2. Train", f"anthropo train {cohort} -o {folder / 'demo.anthropo'} --allow-duplicates")
    say("--allow-duplicates because all pictures are of one photograph; real cohorts do without.")
    material = gather(cohort, request, progress=progress)
    result = train(material, command="anthropo demo", progress=progress)
    show_trained(result)
    model = folder / "demo.anthropo"
    result.trained.save(model)
    say(f"{model}: {model.stat().st_size / 1e6:.1f} MB")

    photo = str(next(seen_not.parent.glob("*.jpg")))
    _step("3. Classify", f"anthropo classify --model {model} {photo}")
    loaded = load_model(model)
    for prediction in loaded.classify(photo, reading=request.reading).predictions:
        print_answer(prediction, loaded.trained, 5)
    say(f"It was made as {labels[-1]}.")

    why = folder / "explanation.html"
    _step("4. Explain", f"anthropo explain --model {model} {photo} -o {why}")
    case = loaded.explain(photo, reading=request.reading)
    write_explanation(why, case, notes=[_SYNTHETIC])  # where no reader of the page can miss it
    explained = case.explanation.labels[0]
    say(f"{explained.label}: log-odds {explained.log_odds:+.2f}, of which")
    for c in explained.contributions[:5]:
        say(f"  {c.log_odds:+.2f}  {c.kind} {c.name}")
    say("\n".join(changes_words(case)))

    report = folder / "evaluation.html"
    _step("5. Evaluate", f"anthropo evaluate {cohort} -o {report} --allow-duplicates")
    questions = [Question(attribute=None, models=made.judged) for made in result.evaluations]
    settings = {"cohort": "SYNTHETIC: one morphed photograph"}
    (made,) = evaluations_of(questions, material, settings=settings)
    # where no reader of the page can miss it
    made = replace(made, warnings=(_SYNTHETIC, *made.warnings))
    print_evaluation(made)
    write_evaluations(report, [made])

    _step("Done", f"{time.perf_counter() - start:.0f} seconds. All of it is SYNTHETIC.")
    say(f"open   {why}\n       {report}")
    say(f"model  {model}   (anthropo inspect {model})\nphotos {cohort.parent}")


def _step(what: str, how: str) -> None:
    say(f"\n{what}  ", bold=True, fg="cyan", nl=False)
    say(how)
