"""The weights inside the package: what they are, and that they tell faces apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.data.faces import load_faces
from toolkit.evaluation.faces import evaluate_faces
from toolkit.models.checkpoint import Checkpoint, shipped_path
from toolkit.models.predictor import Predictor


@pytest.fixture(scope="module")
def shipped() -> Predictor:
    return Predictor.load("shipped", device="cpu")


def test_the_shipped_weights_are_small_and_stay_within_five_million_parameters() -> None:
    network = Checkpoint.load().network

    assert shipped_path().stat().st_size < 12_000_000
    assert sum(p.numel() for p in network.parameters()) <= 5_000_000


def test_the_card_gives_the_licence_and_the_pack(shipped: Predictor) -> None:
    assert "CC BY 4.0" in shipped.card.licence
    assert "Kärkkäinen" in shipped.card.licence
    assert shipped.card.training_data == "fairface_train_112"
    assert shipped_path().with_name("MODEL_CARD.md").is_file()


def test_it_is_far_better_than_chance_on_faces_it_never_saw(shipped: Predictor, data_dir: Path) -> None:
    faces = load_faces(data_dir / "faces" / "fairface_test_128.parquet", "test").head(300)

    scores = evaluate_faces(shipped, faces)

    # Chance: 0.53 for always "male", 0.30 for always "20-29".
    assert scores["gender_accuracy"] > 0.85
    assert scores["age_group_accuracy"] > 0.43
    assert scores["age_group_one_off"] > 0.85


def test_it_still_says_what_its_card_says(shipped: Predictor, data_dir: Path) -> None:
    faces = load_faces(data_dir / "faces" / "fairface_train_112.parquet", "val")

    scores = evaluate_faces(shipped, faces)

    # The card's figures were taken in single precision: one face of 1,415 may fall to the other side.
    card = shipped.card.metrics
    assert scores["gender_accuracy"] == pytest.approx(card["val/gender_accuracy"], abs=0.003)
    assert scores["age_group_accuracy"] == pytest.approx(card["val/age_group_accuracy"], abs=0.003)
    assert scores["age_mae_years"] == pytest.approx(card["val/age_mae_years"], abs=0.03)
