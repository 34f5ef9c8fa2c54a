from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from anthropo.learning.judging import CrossValidation, Question
from anthropo.learning.model import Options
from anthropo.workflows import evaluation as evaluate
from anthropo.workflows.cohort import Material, PhotoReading, TrainRequest


def test_encoders_are_compared_on_regions_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TrainRequest] = []

    def material(request: TrainRequest, encoder: str) -> Material:
        return Material(
            cohort=SimpleNamespace(source="c.csv"),  # type: ignore[arg-type]
            features=SimpleNamespace(),  # type: ignore[arg-type]
            findings=(),
            request=request,
            options=Options(regions=("image",)),  # as gathered for pictures without a face
            encoder=SimpleNamespace(name=encoder),  # type: ignore[arg-type]
            settings=SimpleNamespace(),  # type: ignore[arg-type]
        )

    def gather(_: str, request: TrainRequest, **__: Any) -> Material:
        asked.append(request)
        return material(request, str(request.encoder))

    def judge(of: Material, **_: Any) -> CrossValidation:
        answer: Any = SimpleNamespace(labels=("a", "b"), about=(of.encoder.name, of.options.balance))
        return CrossValidation(questions=(Question(attribute=None, models={"hybrid": answer}),), notes=("n",))

    monkeypatch.setattr(evaluate, "gather", gather)
    monkeypatch.setattr(evaluate, "judge_material", judge)
    request = TrainRequest(encoder="mine", encoder_weights="w", reading=PhotoReading(no_face=True))
    judged = evaluate._compared(
        material(request, "mine"), ["encoder", "balance"], None, None, lambda *_: None
    )  # type: ignore[arg-type, return-value]
    # regions that were not asked for are each encoder's, and weights are of the one that was named
    assert asked
    assert all(one.options.regions is None and one.encoder_weights is None for one in asked)
    (question,) = judged.questions
    assert all(f"{model.about[0]}, {model.about[1]}" == name for name, model in question.models.items())  # type: ignore[attr-defined]
    assert next(iter(question.models)) == "mine, weights"
    assert judged.notes == ("n",)
