"""What the detector learns from, and that it learns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from toolkit.data.drawn import write_drawn_faces
from toolkit.data.scenes.compose import Composed, Cutout, Placement, compose
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.detection import Curve
from toolkit.models.detector.checkpoint import DetectorCheckpoint
from toolkit.models.detector.network import DetectorNetwork, DetectorOutputs, places
from toolkit.training import detector_pictures
from toolkit.training.detector import DetectorTraining, average_detectors, train_detector
from toolkit.training.detector_backgrounds import draw_background, read_stills
from toolkit.training.detector_batches import DetectorBatch, PictureMill, as_batch
from toolkit.training.detector_bodies import lay_body, read_bodies
from toolkit.training.detector_config import DetectorTrainConfig
from toolkit.training.detector_dress import draw_hand_at
from toolkit.training.detector_losses import detector_losses, targets
from toolkit.training.detector_people import cut_decoy, cut_jumble, cut_person
from toolkit.training.detector_pictures import FacePicture, PictureMaker
from toolkit.training.detector_scores import _looked_at, probability_line
from toolkit.training.detector_sheet import UPRIGHT, Sheet

SIDE_PX = 64


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """On a busy machine torch's own threads would wait for each other, for seconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Grey pictures with two eyes and a mouth."""
    pictures = np.full((6, 112, 112, 3), 170, np.uint8)
    pictures[:, 40:50, 30:45] = pictures[:, 40:50, 65:80] = pictures[:, 80:90, 40:72] = 30
    return pictures


@pytest.fixture(scope="module")
def film_of_somebody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three times a dark head and wide shoulders before a bright wall."""
    path = tmp_path_factory.mktemp("film") / "somebody.avi"
    picture = np.full((240, 320, 3), 220, np.uint8)
    cv2.ellipse(picture, (160, 45), (20, 25), 0, 0, 360, (30, 40, 50), cv2.FILLED)
    cv2.rectangle(picture, (150, 60), (170, 90), (30, 40, 50), cv2.FILLED)
    cv2.rectangle(picture, (110, 85), (210, 239), (60, 30, 20), cv2.FILLED)
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for _ in range(3):
        film.write(picture)
    film.release()
    return path


def maker(faces: np.ndarray, seed: int = 0) -> PictureMaker:
    return PictureMaker(faces, 128, seed, pool=6)


def test_a_made_picture_has_its_faces_in_boxes_within_it(faces: np.ndarray) -> None:
    made = [maker(faces).make() for _ in range(1)] + [maker(faces, seed).make() for seed in range(1, 12)]

    boxes = np.concatenate([picture.boxes_xyxy for picture in made])
    assert all(picture.image.shape == (128, 128, 3) for picture in made)
    assert len(boxes) > 10
    assert (boxes >= 0).all()
    assert (boxes <= 128).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_the_same_seed_makes_the_same_pictures(faces: np.ndarray) -> None:
    one, other = maker(faces, 3).make(), maker(faces, 3).make()

    assert (one.image == other.image).all()
    assert (one.boxes_xyxy == other.boxes_xyxy).all()


def test_tiny_faces_are_not_asked_for(faces: np.ndarray) -> None:
    make = maker(faces).make
    made = [make() for _ in range(25)]

    sizes = np.concatenate(
        [np.sqrt(np.prod(p.boxes_xyxy[:, 2:] - p.boxes_xyxy[:, :2], axis=1)) for p in made]
    )
    asked = np.concatenate([picture.is_asked for picture in made])
    assert asked.any()
    assert not asked[sizes < 8].any()


def test_a_face_turned_or_bent_is_smaller_than_its_head(faces: np.ndarray) -> None:
    rng = np.random.default_rng(0)

    people = [cut_person(faces[0], faces[1], [], rng) for _ in range(60)]

    boxes = np.array([person.face_xyxy for person in people])
    wide, high = (boxes[:, 2:] - boxes[:, :2]).T
    assert (wide.max().round(), high.max().round()) == (87, 114)
    assert wide.min() < 65
    assert high.min() < 95
    for person, (x, y) in zip(people, ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(int), strict=True):
        assert person.premultiplied_bgra[y, x, 3] > 250


def test_a_face_seen_from_one_side_keeps_the_box_that_was_drawn_for_it(faces: np.ndarray) -> None:
    rng = np.random.default_rng(0)

    people = [cut_person(faces[0], faces[1], [], rng, (0.3, 0.05, 0.97, 0.98)) for _ in range(40)]

    boxes = np.array([person.face_xyxy for person in people])
    middles = (boxes[:, 0] + boxes[:, 2]) / 2
    wide, high = (boxes[:, 2:] - boxes[:, :2]).T
    assert wide == pytest.approx(0.67 * 112, abs=1)
    assert high == pytest.approx(0.93 * 112, abs=1)
    of_sheets = middles[middles > 112]
    assert 0.2 < (of_sheets < UPRIGHT.left + 56).mean() < 0.8, "half of them look to the other side"
    for person, (x, y) in zip(people, ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(int), strict=True):
        assert person.premultiplied_bgra[y, x, 3] > 250


def test_a_hand_at_a_face_leaves_the_eyes_free(faces: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    left, top, right, bottom = (round(side) for side in UPRIGHT.face_xyxy)
    eyes = slice(top, top + round(0.3 * (bottom - top)))

    changed = []
    for _ in range(30):
        sheet = Sheet.empty()
        draw_hand_at(sheet, faces[0], UPRIGHT, rng)
        assert sheet.cover[eyes, left:right].max() < 0.2
        changed.append(sheet.cover[eyes.stop : bottom, left:right].max() > 0.9)
    assert np.mean(changed) > 0.8


def test_faces_seen_from_one_side_are_taken_oftener_than_they_are_in_the_pack(
    faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    many, box = np.concatenate([faces] * 50), (0.3, 0.0, 1.0, 1.0)
    cut: list[tuple] = []

    def cut_and_note(*given: Any) -> Cutout:
        cut.append(given[4:])
        return cut_person(*given)

    monkeypatch.setattr(detector_pictures, "cut_person", cut_and_note)
    make = PictureMaker(many, 64, 0, pool=60, turned={7: box}).make
    for _ in range(15):
        make()

    assert cut.count(()) > 30
    assert 0.05 < cut.count((box,)) / len(cut) < 0.3


@pytest.mark.usefixtures("own_cache")
def test_drawn_boxes_that_belong_to_no_picture_of_the_pack_are_refused(drawn: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "turned.json"
    boxes.write_text('{"elsewhere.jpg": [0.1, 0, 0.8, 1]}')

    with pytest.raises(ConfigError, match="names no picture of drawn"):
        DetectorTraining(settings(drawn, tmp_path, turned=str(boxes)))
    with pytest.raises(ConfigError, match="cannot read the boxes"):
        DetectorTraining(settings(drawn, tmp_path, turned=str(tmp_path / "nothing.json")))


def test_what_only_looks_like_somebody_covers_something_too(faces: np.ndarray) -> None:
    rng = np.random.default_rng(0)

    cutouts = [cut(faces[0], faces[1], [], rng) for cut in (cut_decoy, cut_jumble) for _ in range(20)]

    covers = [cutout.premultiplied_bgra[..., 3] for cutout in cutouts]
    assert all((cover > 128).mean() > 0.02 for cover in covers)


def test_small_decoys_are_nothing_that_might_be_a_blurred_face(
    faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumble = cut_jumble(faces[0], faces[1], [], np.random.default_rng(0))
    placed: list[Placement] = []

    def compose_and_note(background: np.ndarray, people: list[Placement], match: float) -> Composed:
        placed.extend(people)
        return compose(background, people, match=match)

    monkeypatch.setattr(detector_pictures, "cut_jumble", lambda *_: jumble)
    monkeypatch.setattr(detector_pictures, "compose", compose_and_note)

    make = maker(faces).make
    for _ in range(20):
        make()

    heights = [one.face_height_px for one in placed if one.cutout is jumble]
    assert heights
    assert min(heights) >= 36


def test_people_are_cut_out_of_a_film_with_their_heads(film_of_somebody: Path) -> None:
    [body] = read_bodies(str(film_of_somebody), {2: (140, 20, 180, 70)})

    left, top, right, chin = (round(side) for side in body.head_xyxy)
    assert (right - left, chin - top) == (40, 50)
    assert body.cover[(top + chin) // 2, (left + right) // 2] > 0.9
    assert body.cover[chin + 60, left - 20] > 0.9
    assert body.cover[(top + chin) // 2, left - 20] < 0.1


def test_a_body_that_is_not_in_the_film_is_named(film_of_somebody: Path) -> None:
    with pytest.raises(DataError, match="a body in frame 9"):
        read_bodies(str(film_of_somebody), {9: (140, 20, 180, 70)})


def test_a_face_on_a_real_body_lies_on_its_head(faces: np.ndarray, film_of_somebody: Path) -> None:
    bodies, rng = read_bodies(str(film_of_somebody), {0: (140, 20, 180, 70)}), np.random.default_rng(3)

    for _ in range(20):
        sheet = Sheet.empty()
        lay_body(sheet, bodies[0], np.array([20, 30, 40]), rng)

        left, top, right, bottom = (round(side) for side in UPRIGHT.face_xyxy)
        head = sheet.cover[top + 10 : bottom - 20, left + 25 : right - 25]
        assert head.min() > 0.9


def test_backgrounds_are_made_of_rims_and_stills_alike(faces: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    stills = np.full((2, 90, 160, 3), 99, np.uint8)

    for _ in range(20):
        image = draw_background(128, faces, stills, rng)

        assert (image.shape, image.dtype) == ((128, 128, 3), np.uint8)


def test_stills_come_from_all_of_a_film(clip_path: Path, tmp_path: Path) -> None:
    assert read_stills(str(clip_path), count=5).shape == (5, 360, 640, 3)
    with pytest.raises(DataError, match=r"nothing\.mp4"):
        read_stills(str(tmp_path / "nothing.mp4"))


def test_places_near_the_middle_of_a_face_tell_of_it() -> None:
    boxes = torch.tensor([[[20.0, 20.0, 40.0, 44.0]]])

    wanted, positive, counts = targets(boxes, torch.tensor([[True]]), SIDE_PX)

    centres, strides = places(SIDE_PX, SIDE_PX)
    chosen = centres[positive[0].numpy()]
    assert len(chosen) > 0
    assert np.abs(chosen - (30, 32)).max() < 8
    # A face of 22 px is the finest grid's alone.
    assert set(strides[positive[0].numpy()]) == {8.0}
    assert (wanted[0][positive[0]] == boxes[0, 0]).all()
    assert counts.all()


def test_every_face_has_a_place_however_small() -> None:
    for offset in range(16):
        corner = 20.0 + offset / 2
        boxes = torch.tensor([[[corner, corner, corner + 7, corner + 9]]])

        _, positive, _ = targets(boxes, torch.tensor([[True]]), SIDE_PX)

        assert positive.any()


def test_of_two_faces_a_place_tells_of_the_smaller_one() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 38.0, 38.0], [15.0, 15.0, 25.0, 25.0]]])

    wanted, positive, _ = targets(boxes, torch.tensor([[True, True]]), SIDE_PX)

    centres, _ = places(SIDE_PX, SIDE_PX)
    nearest = np.abs(centres[: (SIDE_PX // 8) ** 2] - 20).max(axis=1).argmin()
    assert positive[0, nearest]
    assert (wanted[0, nearest] == boxes[0, 1]).all()


def test_a_face_that_is_not_asked_for_costs_nothing_either_way() -> None:
    boxes = torch.tensor([[[20.0, 20.0, 40.0, 44.0], [0.0, 0.0, 0.0, 0.0]]])

    _, positive, counts = targets(boxes, torch.tensor([[False, False]]), SIDE_PX)

    centres, _ = places(SIDE_PX, SIDE_PX)
    inside = np.abs(centres - (30, 32)).max(axis=1) < 10
    assert not positive.any()
    assert not counts[0][torch.from_numpy(inside)].any()
    assert counts[0][torch.from_numpy(np.abs(centres - (30, 32)).max(axis=1) > 30)].all()


def test_the_right_answer_costs_less_than_a_wrong_one() -> None:
    boxes, asked = torch.tensor([[[20.0, 20.0, 40.0, 44.0]]]), torch.tensor([[True]])
    wanted, positive, _ = targets(boxes, asked, SIDE_PX)
    centres, strides = (torch.from_numpy(array) for array in places(SIDE_PX, SIDE_PX))
    middle, size = (wanted[..., :2] + wanted[..., 2:]) / 2, wanted[..., 2:] - wanted[..., :2]
    told = torch.cat([(middle - centres) / strides[:, None], (size / strides[:, None]).log()], dim=2)
    told[~positive] = 0.0
    logits = torch.where(positive, 8.0, -8.0)

    right = detector_losses(DetectorOutputs(logits, told), boxes, asked, SIDE_PX)
    shifted = detector_losses(DetectorOutputs(logits, told + 0.5), boxes, asked, SIDE_PX)
    silent = detector_losses(DetectorOutputs(-logits, told), boxes, asked, SIDE_PX)

    assert right["loss"] < 0.01
    assert shifted["box"] > right["box"] + 0.2
    assert silent["score"] > right["score"] + 1


def test_losses_fall_on_a_few_pictures(faces: np.ndarray) -> None:
    torch.manual_seed(0)
    make = maker(faces).make
    batch = as_batch([make() for _ in range(4)])
    network = DetectorNetwork().train()
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)

    values = []
    for _ in range(25):
        optimiser.zero_grad()
        outputs = DetectorOutputs(*network(batch.images_nhwc))
        loss = detector_losses(outputs, batch.boxes_xyxy, batch.is_asked, 128)["loss"]
        loss.backward()
        optimiser.step()
        values.append(loss.item())

    assert values[-1] < 0.7 * values[0]


def test_the_mill_makes_no_more_than_is_shown(faces: np.ndarray) -> None:
    with PictureMill(maker(faces), stock=8, seed=0) as mill:
        batch = mill.batch(4)

    assert batch.images_nhwc.shape == (4, 128, 128, 3)
    assert batch.boxes_xyxy.shape[:2] == batch.is_asked.shape


def test_what_goes_wrong_in_the_mill_is_raised_where_batches_are_taken() -> None:
    class Broken:
        def make(self) -> FacePicture:
            raise DataError("no such picture")

    with PictureMill(Broken(), stock=8, seed=0) as mill, pytest.raises(DataError, match="no such picture"):  # type: ignore[arg-type]
        mill.batch(4)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawn_faces(tmp_path_factory.mktemp("drawn") / "drawn.parquet", train=20, val=6, test=1)


def settings(drawn: Path, tmp_path: Path, **changes: object) -> DetectorTrainConfig:
    values = {"minutes": 0.02, "image_px": 64, "batch_size": 4, "stock": 10, "validate_every_steps": 1000}
    return DetectorTrainConfig(data=str(drawn), out_dir=str(tmp_path), **(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("toolkit.training.detector.VALIDATION_PICTURES", 4)


@pytest.mark.usefixtures("own_cache")
def test_a_training_leaves_weights_with_a_card(drawn: Path, tmp_path: Path) -> None:
    told: list[float] = []

    result = train_detector(settings(drawn, tmp_path), lambda progress, values: told.append(progress))

    assert result.checkpoint is not None
    card = DetectorCheckpoint.load(result.checkpoint).card
    assert card.training_data == str(drawn)
    assert card.metrics["steps"] == result.steps == len(told) > 0
    assert told == sorted(told)


@pytest.mark.usefixtures("own_cache")
def test_the_mean_of_two_trainings_is_kept_with_a_card_of_its_own(drawn: Path, tmp_path: Path) -> None:
    paths = [
        train_detector(settings(drawn, tmp_path / str(seed), steps=2, seed=seed)).checkpoint
        for seed in (1, 2)
    ]

    result = average_detectors(settings(drawn, tmp_path / "mean"), [path for path in paths if path])

    one, other, mean = (
        DetectorCheckpoint.load(path).network.backbone.stem.conv.weight
        for path in (*paths, result.checkpoint)
        if path
    )
    assert torch.allclose(mean, (one + other) / 2, atol=1e-3)
    assert not torch.allclose(one, other, atol=1e-3)
    assert DetectorCheckpoint.load(result.checkpoint or "").card.metrics["steps"] == 4
    with pytest.raises(ConfigError, match="a mean is one of several checkpoints, got 1"):
        average_detectors(settings(drawn, tmp_path), paths[:1])  # type: ignore[arg-type]


@pytest.mark.usefixtures("own_cache")
def test_ctrl_c_keeps_what_was_learned(drawn: Path, tmp_path: Path) -> None:
    def interrupt(progress: float, values: dict[str, float]) -> None:
        raise KeyboardInterrupt

    result = train_detector(settings(drawn, tmp_path, minutes=5.0), interrupt)

    assert result.was_interrupted
    assert result.checkpoint is not None
    assert result.checkpoint.is_file()


@pytest.mark.usefixtures("own_cache")
def test_a_training_of_so_many_steps_ends_with_them(drawn: Path, tmp_path: Path) -> None:
    stopped = DetectorTraining(settings(drawn, tmp_path, steps=3), clock=lambda: 0.0)

    stopped.run()

    assert stopped.result.steps == 3


@pytest.mark.usefixtures("own_cache")
def test_the_rate_rises_then_falls_to_zero(drawn: Path, tmp_path: Path) -> None:
    now = [0.0]
    training = DetectorTraining(settings(drawn, tmp_path, minutes=1.0), clock=lambda: now[0])
    rates = []

    def step(progress: float, values: dict[str, float]) -> None:
        rates.append(values["train/learning_rate"])
        now[0] += 6.0

    training.run(step)

    assert len(rates) == 10
    assert rates[0] == 0.0
    assert rates[1] == max(rates)
    assert rates[-1] < 0.1 * rates[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_px": 100}, "multiple of 32"),
        ({"minutes": 0}, "minutes"),
        ({"steps": 0}, "steps"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"seed": 2**64}, "seed must be at most 18446744073709551615"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DetectorTrainConfig(**changes)


def test_scores_become_the_share_of_boxes_on_a_face() -> None:
    rng = np.random.default_rng(0)
    logits = np.sort(rng.uniform(-3, 3, 4000))[::-1]
    hits = rng.random(4000) < 1 / (1 + np.exp(-(2 * logits - 1)))
    curve = Curve(1 / (1 + np.exp(-logits)), np.cumsum(hits), np.cumsum(~hits), 4000, 10)

    slope, offset = probability_line(curve)

    assert slope == pytest.approx(2, abs=0.2)
    assert offset == pytest.approx(-1, abs=0.2)


def test_the_surest_boxes_have_scores_below_one_and_in_their_order() -> None:
    logits = torch.full((1, len(places(64, 64)[0])), -10.0)
    logits[0, 0], logits[0, 7] = 20.0, 18.0
    batch = DetectorBatch(
        torch.zeros(1, 64, 64, 3, dtype=torch.uint8),
        torch.zeros(1, 0, 4),
        torch.zeros(1, 0, dtype=torch.bool),
    )

    [picture] = _looked_at(lambda images: (logits, torch.zeros(*logits.shape, 4)), batch)

    first, second = picture.scores
    assert second < first < 1


def test_scores_next_to_one_leave_the_line_as_it_is() -> None:
    rng = np.random.default_rng(0)
    logits = -np.sort(-rng.normal(0, 2, 4000))
    hits = rng.random(4000) < 1 / (1 + np.exp(-(2 * logits - 1)))
    scores, hits = np.append(1.0, 1 / (1 + np.exp(-logits))), np.append(True, hits)

    slope, offset = probability_line(Curve(scores, np.cumsum(hits), np.cumsum(~hits), 4001, 10))

    assert slope == pytest.approx(2, abs=0.2)
    assert offset == pytest.approx(-1, abs=0.2)


def test_without_a_false_alarm_scores_stay_as_they_are() -> None:
    curve = Curve(np.array([0.9, 0.8]), np.array([1, 2]), np.array([0, 0]), 2, 1)

    assert probability_line(curve) == (1.0, 0.0)
