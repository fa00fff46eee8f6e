"""Our detector: where its places are, what its answers mean, and that every runtime gives the same."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from timm.models.byobnet import RepVggBlock

from toolkit.errors import ConfigError, ModelError, ShapeError
from toolkit.models.checkpoint import Checkpoint
from toolkit.models.detector import export as detector_export
from toolkit.models.detector.boxes import decode, keep_best, overlaps, read_answers
from toolkit.models.detector.checkpoint import DetectorCard, DetectorCheckpoint
from toolkit.models.detector.finder import FaceFinder
from toolkit.models.detector.network import DetectorNetwork, DetectorOutputs, places
from toolkit.models.runtimes.base import Runtime, as_arrays, difference
from toolkit.models.runtimes.onnx_file import cached_onnx, export_onnx
from toolkit.models.runtimes.onnx_runtime import OnnxRuntime
from toolkit.models.runtimes.openvino_runtime import OpenVinoRuntime
from toolkit.records import Detection


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """On a busy machine torch's own threads would wait for each other, for seconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network() -> DetectorNetwork:
    """With weights by chance that tell places apart, and running statistics that fit them."""
    torch.manual_seed(0)
    network = DetectorNetwork().train()
    for head in network.heads:
        torch.nn.init.normal_(head.weight, std=1.0)
    with torch.no_grad():
        for seed in range(20):
            network(torch.from_numpy(pictures(2 + seed, 64, 96)))
    return network.eval()


def pictures(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def boxes_of(faces: list[Detection]) -> np.ndarray:
    return np.array([face.box_xyxy for face in faces])


def finder(network: DetectorNetwork, **settings: object) -> FaceFinder:
    checkpoint = DetectorCheckpoint(network, DetectorCard())
    return FaceFinder(checkpoint, runtime="torch", threads=1, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("size_hw", [(32, 32), (33, 47), (90, 160), (64, 100)])
def test_there_is_an_answer_for_every_place(network: DetectorNetwork, size_hw: tuple[int, int]) -> None:
    with torch.inference_mode():
        outputs = DetectorOutputs(*network(torch.from_numpy(pictures(2, *size_hw))))

    centres, strides = places(*size_hw)

    assert outputs.score_logits.shape == (2, len(strides))
    assert outputs.boxes.shape == (2, len(strides), 4)
    assert (centres < (size_hw[1], size_hw[0])).all()


def test_the_network_is_small(network: DetectorNetwork) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) <= 1_000_000


def test_its_backbone_is_a_repvgg_of_timms(network: DetectorNetwork) -> None:
    blocks = [module for module in network.backbone.modules() if isinstance(module, RepVggBlock)]

    assert len(blocks) == 10
    assert not [block for block in blocks if block.reparam_conv is not None]


def test_folded_it_gives_the_same_answers_and_can_still_learn(network: DetectorNetwork) -> None:
    images = torch.from_numpy(pictures(2, 64, 96))

    folded = network.folded()

    assert sum(p.numel() for p in folded.parameters()) < sum(p.numel() for p in network.parameters())
    assert not [name for name in folded.state_dict() if "conv_1x1" in name or "identity" in name]
    assert [name for name in network.state_dict() if "conv_1x1" in name]
    with torch.inference_mode():
        assert difference(as_arrays(folded(images)), as_arrays(network(images))) < 1e-4


@pytest.fixture(scope="module")
def exported(network: DetectorNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network as ONNX, exported once: it takes seconds."""
    return export_onnx(network, (64, 96), tmp_path_factory.mktemp("exported") / "detector.onnx")


@pytest.mark.parametrize("kind", [OnnxRuntime, OpenVinoRuntime])
def test_one_exported_file_serves_pictures_of_all_sizes(
    kind: type[Runtime], network: DetectorNetwork, exported: Path
) -> None:

    for size_hw in ((64, 96), (50, 70)):
        images = pictures(2, *size_hw)
        outputs = kind(exported, size_hw, 1)(images)  # type: ignore[call-arg, arg-type]
        with torch.inference_mode():
            assert difference(outputs, as_arrays(network(torch.from_numpy(images)))) < 1e-3


def test_all_sizes_share_one_file_of_the_cache(
    network: DetectorNetwork, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.models.runtimes.onnx_file.cache_folder", lambda: tmp_path)
    monkeypatch.setattr(
        "toolkit.models.runtimes.onnx_file.export_onnx",
        lambda network, size, path: shutil.copy(exported, path),
    )

    assert cached_onnx(network, (64, 96)) == cached_onnx(network, (360, 640))


@pytest.mark.parametrize(("kind", "file"), [("onnx", "model.onnx"), ("openvino", "model.xml")])
def test_an_exported_detector_answers_as_torch_does_and_says_how_to_read_it(
    kind: str,
    file: str,
    network: DetectorNetwork,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        detector_export, "export_onnx", lambda network, size, path: Path(shutil.copy(exported, path))
    )

    card = detector_export.export_detector(
        DetectorCheckpoint(network, DetectorCard()), kind, tmp_path / "out"
    )

    assert card["difference_from_torch"] < 1e-3
    assert json.loads((tmp_path / "out" / "card.json").read_text())["file"] == file
    assert (tmp_path / "out" / file).is_file()


def test_a_network_that_is_not_the_exported_one_is_noticed(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        detector_export, "export_onnx", lambda network, size, path: Path(shutil.copy(exported, path))
    )
    other = DetectorCheckpoint(DetectorNetwork().eval(), DetectorCard())

    with pytest.raises(ModelError, match="off torch's"):
        detector_export.export_detector(other, "onnx", tmp_path)
    with pytest.raises(ConfigError, match="onnx or openvino"):
        detector_export.export_detector(other, "openvino-int8", tmp_path)


def test_a_place_tells_of_a_box_around_it_in_strides() -> None:
    centres, strides = places(64, 64)
    coarsest = len(strides) - 1
    told = np.array([[-0.5, -0.25, np.log(0.5), 0.0]], np.float32)

    [box] = decode(told, np.array([coarsest]), (64, 64))

    x, y = centres[coarsest] + (-16, -8)
    assert strides[coarsest] == 32
    assert box.tolist() == pytest.approx([x - 8, y - 16, x + 8, y + 16])


def test_boxes_are_clipped_to_the_picture() -> None:
    told = np.array([[0.0, 0.0, 3.0, 3.0]], np.float32)

    [box] = decode(told, np.array([0]), (40, 60))

    assert box.tolist() == [0, 0, 60, 40]


def test_only_logits_above_the_threshold_become_boxes_the_best_first() -> None:
    count = len(places(64, 64)[1])
    logits = np.full((2, count), -9.0, np.float32)
    logits[1, 3], logits[1, 40] = 1.0, 2.0

    nothing, (boxes, kept) = read_answers(logits, np.zeros((2, count, 4), np.float32), (64, 64), 0.0, 0.4)

    assert len(nothing[0]) == 0
    assert kept.tolist() == [2.0, 1.0]
    assert boxes.shape == (2, 4)


def test_of_overlapping_boxes_those_stay_that_the_usual_loop_keeps() -> None:
    rng = np.random.default_rng(5)
    for _ in range(30):
        corners = rng.uniform(0, 60, (60, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (60, 2))], axis=1)
        shared, kept = overlaps(boxes, boxes), []
        for index in range(60):
            if not any(shared[index, better] > 0.3 for better in kept):
                kept.append(index)

        assert np.flatnonzero(keep_best(boxes, 0.3)).tolist() == kept


def test_a_chain_of_boxes_that_remove_each_other_keeps_every_second() -> None:
    boxes = np.array([(10 * n, 0, 10 * n + 20, 10) for n in range(6)], np.float32)

    assert keep_best(boxes, 0.3).tolist() == [True, False] * 3


def test_no_box_is_no_trouble() -> None:
    assert keep_best(np.zeros((0, 4)), 0.5).tolist() == []


def test_what_is_saved_is_what_is_loaded(network: DetectorNetwork, tmp_path: Path) -> None:
    card = DetectorCard(training_data="some-pack", licence="CC BY 4.0")

    path = DetectorCheckpoint(network, card).save(tmp_path / "detector")
    loaded = DetectorCheckpoint.load(path)

    images = torch.from_numpy(pictures(1, 64, 64))
    with torch.inference_mode():
        assert difference(as_arrays(loaded.network(images)), as_arrays(network(images))) < 1e-2
    assert (loaded.card.training_data, loaded.card.licence) == ("some-pack", "CC BY 4.0")
    assert path.stat().st_size < 3_000_000


def test_damaged_weights_are_refused(network: DetectorNetwork, tmp_path: Path) -> None:
    path = DetectorCheckpoint(network, DetectorCard()).save(tmp_path / "detector")
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    with pytest.raises(ModelError, match="checksums differ"):
        DetectorCheckpoint.load(path)


def test_weights_of_other_layers_are_refused_in_a_line(network: DetectorNetwork, tmp_path: Path) -> None:
    folded = DetectorCheckpoint(network.folded(), DetectorCard()).save(tmp_path / "detector")

    with pytest.raises(ModelError, match="other layers") as told:
        DetectorCheckpoint.load(folded)

    assert "\n" not in str(told.value)


def test_other_models_and_missing_files_are_called_what_they_are(tmp_path: Path) -> None:
    from toolkit.models.checkpoint import shipped_path

    with pytest.raises(ModelError, match="another kind of model"):
        DetectorCheckpoint.load(shipped_path())
    with pytest.raises(ModelError, match="no detector"):
        DetectorCheckpoint.load(tmp_path / "nothing.safetensors")
    with pytest.raises(ModelError):
        Checkpoint.load(tmp_path / "nothing.safetensors")


def test_pictures_of_several_sizes_are_answered_in_order(network: DetectorNetwork) -> None:
    wide, high = pictures(1, 64, 96)[0], pictures(1, 96, 64)[0]
    find = finder(network, score_threshold=0.005)

    together, alone = find([wide, high, wide]), [find([image])[0] for image in (wide, high, wide)]

    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(boxes_of(one), boxes_of(other), atol=0.01)
    assert find([]) == []


def test_boxes_are_in_pixels_of_the_picture_as_given(network: DetectorNetwork) -> None:
    small = pictures(1, 64, 128)[0]
    large = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)
    settings = {"score_threshold": 0.005, "longest_side_px": 128}

    [in_small], [in_large] = finder(network, **settings)([small]), finder(network, **settings)([large])

    assert len(in_small) > 0
    np.testing.assert_allclose(boxes_of(in_large), 2 * boxes_of(in_small), atol=0.1)


def test_where_faces_are_rarer_the_same_box_is_less_sure(network: DetectorNetwork) -> None:
    images = list(pictures(1, 64, 96))
    [sure] = finder(network, score_threshold=0.004)(images)
    [less_sure] = finder(network, score_threshold=0.001, face_odds=0.25)(images)

    best, same = sure[0], less_sure[0]
    assert same.box_xyxy == best.box_xyxy
    assert same.score / (1 - same.score) == pytest.approx(0.25 * best.score / (1 - best.score), rel=1e-3)


def test_threads_may_search_at_the_same_time(network: DetectorNetwork) -> None:
    image, find = pictures(1, 64, 64)[0], finder(network, score_threshold=0.005)
    found: list = []

    threads = [threading.Thread(target=lambda: found.append(find([image]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert all(len(one[0]) == len(found[0][0]) for one in found)


def test_what_cannot_be_searched_or_set_is_refused(network: DetectorNetwork) -> None:
    with pytest.raises(ShapeError, match="float64"):
        finder(network)([np.zeros((40, 40, 3))])
    with pytest.raises(ShapeError, match=r"some pixels, got \(0, 5, 3\)"):
        finder(network)([np.zeros((0, 5, 3), np.uint8)])
    with pytest.raises(ConfigError, match="score_threshold"):
        finder(network, score_threshold=0.0)
    with pytest.raises(ConfigError, match="batch_size"):
        finder(network, batch_size=0)
    with pytest.raises(ConfigError, match="face_odds"):
        finder(network, face_odds=0.0)
