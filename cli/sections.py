"""The options of a command in the sections of its help: its own first, then those that it shares."""

from __future__ import annotations

import click

OWN, TRAINING, PERSON, PHOTOS, COMPUTING = "Options", "Training", "The person", "Photos", "Computing"

#: What is shared by several commands; whatever is not here is the command's own.
_SHARED = {
    PERSON: ("--sex", "--age", "--age-after", "--gestation", "--ancestry"),
    PHOTOS: (
        *("--face", "--fine", "--jitter", "--landmarks", "--distance", "--scale", "--frames", "--no-face"),
        *("--landmark-model", "--detector-model", "--registry", "--max-megapixels", "--deadline"),
    ),
    COMPUTING: ("--jobs", "--cluster", "--send-photos", "--cache", "--device", "--permissive"),
}
#: Of the commands that train a model: how.
_TRAINING = (
    *("--classifier", "--positive", "--controls", "--cost", "--cost-matrix", "--weigh-cost", "--balance"),
    "--missing",
    *("--normal", "--specificity", "--multilabel", "--independent", "--metadata", "--regions", "--encoder"),
    *("--encoder-weights", "--align", "--tta", "--min-patients", "--error-rate", "--alarm", "--folds"),
    *("--repeats", "--match", "--adapt", "--domain", "--target", "--allow-duplicates", "--same-person"),
    *("--trained-on", "--seed"),
)
_SECTION_OF = {name: section for section, names in _SHARED.items() for name in names}


class Sectioned(click.Command):
    """A command whose help has its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records: dict[str, list[tuple[str, str]]] = {}
        params = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        training = any("--classifier" in param.opts for param in params)
        for param in params:
            if record := param.get_help_record(ctx):
                name = max(param.opts, key=len)
                section_of_rest = TRAINING if training and name in _TRAINING else OWN
                records.setdefault(_SECTION_OF.get(name, section_of_rest), []).append(record)
        for section in (OWN, TRAINING, PERSON, PHOTOS, COMPUTING):
            if section in records:
                with formatter.section(section):
                    formatter.write_dl(records[section])


class SectionedGroup(click.Group):
    """A command of several commands, whose help has their options in sections."""

    command_class = Sectioned
