"""Make anthropo/reference/norms/*.csv of published tables (all but those that anthropo measured itself).

    python development/norms.py FACTS anthropo/reference/norms

FACTS is the project's folder of published figures. Only measurements are used whose landmarks anthropo
corrects to the anthropometric ones, and only sources whose figures may be passed on: surveys of the US
Government, and values quoted from published papers with number, mean and SD of people. What is known only
through a copyleft package (Clarren 2010, Strömland 1999, Weinberg 2016, Farkas 1994, Feingold & Bossert 1974:
all that the facts have of children from one year on) is compared with, not passed on. A source without n (or
without that of a group), without SD, or of newborns of all gestational ages together, makes no norm.
`error_sd`, the SD by which photographs differ from these instruments, is the SD of the difference
between another landmark model (MediaPipe) and hand-placed points on 102 photographs
(mediapipe_vs_manual_frll.csv). It holds landmark error, which anthropo's own interval has as well:
scores are too cautious, not too bold, until anthropo's photographs are compared with a caliper.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from anthropo.measurement.registry import registry
from anthropo.reference.tables import ReferenceRow, load_reference, write_reference

CORRECTED = (
    "intercanthal_width", "biocular_width", "interpupillary_distance", "palpebral_fissure_length_R",
    "palpebral_fissure_length_L", "nasal_width", "mouth_width", "philtrum_length", "upper_vermilion_height",
    "lower_vermilion_height",
)  # fmt: skip
SEX = {"M": "male", "F": "female", "both": "both"}
#: a length of which a source says that its sides do not differ -> anthropo's measurements of it
SIDES = {"palpebral_fissure_length": ("palpebral_fissure_length_R", "palpebral_fissure_length_L")}
DAYS_2 = 0.0055  # years: the facts' whole number would last until the first birthday
#: name -> (how the source begins in norms_long.csv, ancestry, as it is to be cited)
TABLES = {
    "niosh-adults": (
        "NIOSH 2003 ",
        "pooled (US workers)",
        "NIOSH 2003 head-and-face survey, RD-10130-2020-0 (US Government, public domain): US workers who "
        "wear respirators, ancestries pooled with minorities oversampled (norms of the nose differ by up to "
        "2.5 SD between ancestries)",
    ),
    "ansur-adults": (
        "ANSUR II 2012 ",
        "pooled (as sampled) (US Army)",
        "ANSUR II 2012 public data (US Government): US soldiers, ancestries as sampled; computed from the "
        "individual data",
    ),
    "farkas-adults": (
        "Farkas 2005, ",
        "North American white",
        "Farkas 2005, J Craniofac Surg 16:615: North American whites; as reprinted in Al-Sebaei 2015 "
        "(PMC4369102, CC BY)",
    ),
    "jayaratne-adults": (
        "Jayaratne 2013 ",
        "Hong Kong Chinese",
        "Jayaratne 2013, Biomed Res Int 2013:821428 (PMC3730197, CC BY), Table 2: Hong Kong Chinese",
    ),
    "korean-newborns": (
        "Moon 2012 ",
        "Korean",
        "Moon 2012, J Korean Ophthalmol Soc 53:1385, abstract: Korean term newborns (39 boys, 30 girls) in "
        "their first 48 hours; canthi with the eyes closed, pupils with a speculum; sexes and sides did "
        "not differ",
    ),
    "chinese-newborns": (
        "Clin Pediatr 1990",
        "Chinese",
        "Clinical Pediatrics 1990, 29:172, abstract: Chinese term newborns in their first 48 hours; sexes "
        "and sides did not differ",
    ),
}
NEWBORNS = ("korean-newborns", "chinese-newborns")
#: rows that the facts themselves call unreliable
DOUBTFUL = ("outlier", "inferred", "mean only", "between-cohort")


def main(facts: str, folder: str) -> None:
    norms = pd.read_csv(Path(facts) / "norms_long.csv")
    errors = pd.read_csv(Path(facts) / "mediapipe_vs_manual_frll.csv").set_index("measure")["sd_diff"]
    norms = norms[~norms.obtained_via.fillna("").str.startswith(("from Cliniface", "from PhenoTips"))]
    norms = norms[norms.sd.notna() & norms.n.notna() & norms.sex.isin(list(SEX)) & (norms.unit == "mm")]
    norms = norms.assign(measure=[SIDES.get(m, (m,)) for m in norms.measure]).explode("measure")
    norms = norms[norms.measure.isin(CORRECTED) & norms.measure.isin(list(registry()))]
    norms = norms[~norms.caveat.fillna("").str.contains("|".join(DOUBTFUL))]
    order = list(registry())
    for name, (source, ancestry, citation) in TABLES.items():
        chosen = norms[norms.source.str.startswith(source) & (norms.ancestry == ancestry)]
        chosen = chosen[(chosen.sex == "both") == (name in NEWBORNS)]
        rows = [
            ReferenceRow(
                row.measure, "mm", SEX[row.sex], float(row.age_lo),
                DAYS_2 if name in NEWBORNS else float(row.age_hi), int(row.n),
                float(row.mean), float(row.sd), row.grade,
                f"{citation}. error_sd: SD of MediaPipe's minus hand-placed landmarks, Face Research Lab "
                "London Set, n = 102 (EricSpencer00/faciometry, arm08)",
                row.method, float(errors[row.measure]),
            )
            for row in chosen.itertuples()
        ]  # fmt: skip
        rows.sort(key=lambda row: (order.index(row.measurement), row.sex, row.age_lo))
        path = Path(folder) / f"{name}.csv"
        write_reference(path, rows)
        print(f"{path}: {len(load_reference(path).rows)} rows")


if __name__ == "__main__":
    main(*sys.argv[1:])
