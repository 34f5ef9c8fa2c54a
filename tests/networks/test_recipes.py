from __future__ import annotations

import math
from dataclasses import asdict, fields
from importlib import resources
from pathlib import Path

import pytest

from anthropo.errors import InputError
from anthropo.networks.recipes import RECIPES, Parameters, as_toml, load_recipe
from anthropo.workflows.cohort import PhotoReading
from anthropo.workflows.finetuning import FinetuneRequest

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_states_every_choice(name: str) -> None:
    text = resources.files("anthropo.networks").joinpath(f"recipes/{name}.toml").read_text(encoding="utf-8")
    stated = set(tomllib.loads(text))
    assert stated == {field.name for field in fields(Parameters)} | {"task", "summary", "source"}
    if name != "risk-grading":  # whose grades only the user knows
        load_recipe(name)


def test_deepgestalt_is_as_published() -> None:
    own = load_recipe("deepgestalt").parameters
    assert (own.views, own.size, own.grey) == (("face", "upper", "middle", "lower"), 100, True)
    assert (own.identity_epochs, own.identity_rate) == (40, 1e-3)
    assert (own.identity_settling_epochs, own.identity_settling_rate) == (10, 1e-4)
    assert (own.optimiser, own.rate, own.momentum, own.epochs, own.weight_decay) == ("sgd", 5e-3, 0.9, 500, 0)
    assert (own.body_init, own.head_init, own.head_scale, own.dropout) == ("he", "xavier", 0.3, 0.5)
    assert (own.rotation, own.shift, own.zoom, own.flip, own.mirror) == (5, 0.05, 0.05, True, True)
    assert math.radians(own.shear) == pytest.approx(5 * math.pi / 180)
    assert own.alignment == "two-points"


def test_the_others_are_as_published() -> None:
    skin = load_recipe("skin-five", changes=["backbone=densenet121"]).parameters
    assert (skin.size, skin.imbalance, skin.head, skin.flip) == (300, "weights", "convolution", True)
    assert skin.crop > 0
    grades = load_recipe("risk-grading", changes=["grades=low,high,worst"]).parameters
    assert (grades.backbone, grades.loss, grades.grades) == ("xception", "ordinal", ("low", "high", "worst"))
    cases = load_recipe("differential").parameters
    assert (cases.backbone, cases.images, cases.metadata) == ("inception_v4", 6, ("all",))
    many = load_recipe("attributes").parameters
    assert many.attention
    assert many.pose > 0
    assert (many.loss, many.separate) == ("bce", False)


@pytest.mark.parametrize("suffix", [".toml", ".yaml"])
def test_a_file_changes_what_it_names(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"own{suffix}"
    equals = " = " if suffix == ".toml" else ": "
    file.write_text(
        "\n".join(f"{k}{equals}{v}" for k, v in {"rate": 1, "views": '["face"]', "flip": "false"}.items())
    )
    recipe = load_recipe("deepgestalt", file, ["epochs=7", "views=face,lower"])
    assert recipe.changed == {"rate", "views", "flip", "epochs"}
    own = recipe.parameters
    # the command line outranks the file
    assert (own.rate, own.flip, own.epochs, own.views) == (1.0, False, 7, ("face", "lower"))
    usual = asdict(load_recipe("deepgestalt").parameters)
    assert {k for k, v in asdict(own).items() if v != usual[k]} == recipe.changed


def test_packaged_weights_choose_their_backbone() -> None:
    own = load_recipe("skin-five", changes=["warm_start=efficientnet-lite0"]).parameters
    assert (own.backbone, own.size) == ("efficientnet-lite0", 224)
    own = load_recipe(
        "skin-five", None, ["size=64"], warm_start="face-resnet", backbone="resnet50"
    ).parameters
    assert (own.backbone, own.size) == ("resnet50", 64)  # which training will refuse
    own = load_recipe("attributes", changes=["warm_start=face-resnet"]).parameters
    assert (own.backbone, own.size) == ("face-resnet-map", 150)  # which it is for, too


def test_what_is_shown_can_be_read(tmp_path: Path) -> None:
    recipe = load_recipe("attributes", changes=["rate=2e-5", "grades=a b,c"])
    file = tmp_path / "own.toml"
    file.write_text(as_toml(recipe))
    assert load_recipe("attributes", file) == recipe


def test_every_option_is_shown_with_what_it_means() -> None:
    for name in RECIPES:
        shown = as_toml(load_recipe(name))
        for key in ("views", "own", "frozen_norm", "contrastive_pairs", "memory", "fold"):
            (line,) = (line for line in shown.splitlines() if line.startswith(f"{key} = "))
            assert "  # " in line, f"{name}: {line}"


def test_yaml_numbers_without_a_point(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("rate: 1e-4\n")
    assert load_recipe("deepgestalt", file).parameters.rate == 1e-4


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("learning_rate=1", r"changes: no option 'learning_rate'. There are backbone, "),
        ("imbalanse=none", r"no option 'imbalanse'. Did you mean imbalance\?"),
        ("batchs=3", r"Did you mean batch\?"),
        ("rate", r"not of the form option=value"),
        ("rate=fast", r"rate is a number, not 'fast'"),
        ("epochs=2.5", r"epochs is a whole number, not 2.5"),
        ("flip=1", r"flip is true or false, not 1"),
        ("rate=-1", r"rate -1: needs to be between"),
        ("rate=nan", r"rate nan: needs to be between"),
        ("folds=2", r"folds 2: needs to be between 3"),
        ("imbalance=weight", r"imbalance 'weight': Did you mean weights\? Choose from none, weights"),
        ("backbone=resnet", r"Choose from deepgestalt, resnet50"),
        ("views=face,chin", r"views chin: unknown. Choose from face"),
        ("views=face,image", r"image is the whole photo and cannot be combined"),
        ("views=", r"one or more"),
        ("loss=mse", r"loss mse: not for the recipe deepgestalt. Choose from cross-entropy"),
        ("pose=1", r"pose: only the recipe attributes"),
        ("fold=5", r"fold 5: they are numbered from 0 to 4"),
        ("frozen_epochs=2", r"frozen_epochs: needs a body that has learned"),
    ],
)
def test_one_sentence_for_each_mistake(setting: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        load_recipe("deepgestalt", changes=[setting])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("recipe", "settings", "sentence"),
    [
        ("attributes", ["loss=mse", "imbalance=focal"], "focal: needs probabilities"),
        ("attributes", ["views=image"], "a photo without a face has none"),
        ("attributes", ["contrastive=1"], "contrastive: not for the recipe attributes"),
        ("skin-five", ["size=64"], "needs 75 pixels or more"),
        ("risk-grading", ["grades=a,a"], "each once, the lowest first"),
        ("surgery", [], r"recipe 'surgery': unknown. Choose from deepgestalt"),
    ],
)
def test_contradictions_are_refused(recipe: str, settings: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        load_recipe(recipe, changes=settings)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("own.toml", "rate = ", "not valid TOML"),
        ("own.yaml", "rate: [", "not valid YAML"),
        ("own.yaml", "- rate", "not a table of options"),
        ("own.yaml", "epochs: 1\nrate: 0.1\nepochs: 2", "epochs is given twice. Keep one of them."),
        ("own.json", "{}", "a parameter file is .toml or .yaml"),
        ("own.toml", "rats = 1", r"own.toml: no option 'rats'. Did you mean rate\?"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(InputError, match=sentence) as caught:
        load_recipe("deepgestalt", file)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        load_recipe("deepgestalt", tmp_path / "none.toml")


def test_a_warm_start_chooses_its_backbone_also_without_faces() -> None:
    """Whose pictures may be smaller than those of the recipe's own backbone."""
    request = FinetuneRequest(
        recipe="skin-five",
        warm_start="efficientnet-lite0",
        changes=("size=64",),
        reading=PhotoReading(no_face=True),
    )
    parameters = request.load_recipe().parameters
    assert (parameters.backbone, parameters.size, parameters.views) == ("efficientnet-lite0", 64, ("image",))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "x = " + "[" * 20_000 + "]" * 20_000, "not valid TOML (nested too deeply)"),
        ("a.toml", "epochs = " + "9" * 5_000, "not valid TOML"),
        ("a.yaml", "x: " + "[" * 20_000 + "]" * 20_000, "not valid YAML (nested too deeply)"),
        ("a.yaml", "a: &a [x, x]\nb: &b [*a, *a]\n", "holds an alias (*name)"),
        ("a.yaml", "epochs: " + "9" * 5_000, "not valid YAML"),
        ("a.toml", "# " + "x" * 200_000, "too long for a parameter file"),
    ],
)
def test_hostile_parameter_file_is_one_sentence(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_recipe("skin-five", path, ())
    assert str(caught.value).startswith(f"{path}: {message}")


def test_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(InputError, match="epochs"):
        load_recipe("skin-five", None, ("epochs=" + "9" * 5_000,))
