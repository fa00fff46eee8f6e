"""The uses the user's own document shows, call for call."""

import numpy as np
import pytest
from clips import write_clip
from waiting import wait_until

FRAME = np.random.default_rng(2).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def test_cameras_with_callbacks_and_statistics(tmp_path):
    from toolkit import camera_pool

    video_1, video_2 = (str(write_clip(tmp_path / f"{name}.mp4")) for name in ("one", "two"))
    seen: dict[str, list] = {"cam1": [], "cam2": []}

    def callback(camera_id, frame):
        seen[camera_id].append(frame.shape)

    assert camera_pool.add_camera("cam1", video_1, callback)
    assert camera_pool.add_camera("cam2", video_2, callback)
    wait_until(lambda: not camera_pool.get_active_cameras(), timeout_s=20)
    stats = camera_pool.get_statistics()
    camera_pool.stop_all()

    assert seen == {"cam1": [(360, 640, 3)] * 30, "cam2": [(360, 640, 3)] * 30}
    assert stats["cam1"]["read"] == stats["cam1"]["analysed"] == 30
    assert camera_pool.get_active_cameras() == []


def test_a_camera_that_is_not_there_or_whose_name_is_taken_is_refused(tmp_path, caplog):
    from toolkit import camera_pool

    video = str(write_clip(tmp_path / "one.mp4"))
    assert camera_pool.add_camera("cam1", video, None) is True
    assert camera_pool.add_camera("cam1", video, None) is False
    assert camera_pool.add_camera("cam2", "no-such-file.mp4", None) is False
    camera_pool.stop_all()

    assert "no-such-file.mp4" in caplog.text


def test_one_camera_worker_by_itself(tmp_path):
    from toolkit import CameraWorker

    worker = CameraWorker("cam1", str(write_clip(tmp_path / "one.mp4")))
    worker.start()
    wait_until(lambda: not worker.is_active, timeout_s=20)
    statistics = worker.get_statistics()
    worker.stop()

    assert statistics["read"] == 30


def test_a_queue_takes_a_task_and_gives_it_back():
    from toolkit import TaskQueue

    queue = TaskQueue()
    queue.clear()
    queue.enqueue({"id": 1, "type": "analysis", "data": FRAME})
    assert queue.is_available()
    assert queue.get_queue_size() == 1

    task = queue.dequeue()

    assert (task["id"], task["type"]) == (1, "analysis")
    assert np.array_equal(task["data"], FRAME)
    assert queue.dequeue(timeout=0.05) is None
    queue.close()


def test_a_pool_that_analyses_the_people_somebody_detected():
    from toolkit import WorkerPool

    pool = WorkerPool(num_workers=4)
    pool.start()
    for person_id in range(5):
        task = {
            "type": "gender_age_analysis",
            "person_id": person_id,
            "frame": FRAME,
            "bbox": (60, 40, 100, 120),
            "camera_id": "camera_1",
        }
        pool.submit_task(task)
    results = pool.get_results(max_results=10, timeout=120)
    pool.stop()

    assert sorted(result["result"]["person_id"] for result in results) == list(range(5))
    assert {result["result"]["camera_id"] for result in results} == {"camera_1"}
    assert all(result["result"]["gender"] in ("female", "male") for result in results)


def test_a_batch_processor_fed_in_a_loop_and_flushed():
    from toolkit import BatchProcessor

    def process_batch(batch):
        return [10 * item for item in batch]

    processor = BatchProcessor(batch_size=10, timeout=1.0, process_fn=process_batch)
    handled = []
    for item in range(25):
        results = processor.add_item(item)
        if results:
            handled.extend(results)
    results = processor.flush()

    assert handled == [10 * item for item in range(20)]
    assert results == [10 * item for item in range(20, 25)]
    assert processor.get_statistics()["batches"] == 3


def test_a_frame_batch_processor_takes_frames_with_what_is_known_of_them():
    from toolkit import FrameBatchProcessor

    processor = FrameBatchProcessor(batch_size=10)
    answers = [processor.add_frame(FRAME, {"number": number}) for number in range(10)]

    assert answers[:9] == [None] * 9
    assert [answer["metadata"]["number"] for answer in answers[9]] == list(range(10))


def test_a_name_the_package_does_not_have_is_an_ordinary_attribute_error():
    import toolkit

    with pytest.raises(AttributeError, match="camera_pol"):
        _ = toolkit.camera_pol
    assert set(toolkit.__all__) <= set(dir(toolkit))
