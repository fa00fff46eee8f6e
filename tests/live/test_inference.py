"""Crops of many frames in few calls of the model."""

from __future__ import annotations

import threading
import time

import pytest
from fakes import Table, picture
from waiting import wait_until

from toolkit.cores import Cores
from toolkit.errors import BatchSizeMismatch, ConfigError
from toolkit.live.inference import Inference
from toolkit.live.lane import Job
from toolkit.live.turns import Turns


def job(*values: int, is_patient: bool = False) -> Job:
    crops = [picture(value) for value in values]
    return Job(None, None, crops, looked_at=time.monotonic(), is_patient=is_patient)


def means(crops):
    return [int(crop.mean()) for crop in crops]


@pytest.fixture
def started():
    """Makes inferences that are closed again."""
    made = []

    def make(
        predict=means, batch_size=4, max_wait_s=0.01, calls=2, done=lambda jobs: None, turns=None
    ) -> Inference:
        made.append(Inference(predict, batch_size, max_wait_s, calls, done, turns=turns))
        made[-1].start()
        return made[-1]

    yield make
    for inference in made:
        assert inference.close(10)


def test_every_job_gets_the_answers_to_its_own_crops(started):
    done = []
    inference = started(done=done.extend)
    jobs = [job(n, n + 1) for n in range(0, 40, 2)]

    for each in jobs:
        inference.submit(each)
    wait_until(lambda: len(done) == 20)

    assert [list(each.answers) for each in jobs] == [[n, n + 1] for n in range(0, 40, 2)]


def test_a_call_that_nobody_waits_for_takes_a_turn_of_those_who_read(started):
    done, turns = [], Turns(1, patience_s=60)
    inference = started(batch_size=2, done=done.extend, turns=turns)

    with turns:
        inference.submit(job(1, 1, is_patient=True))
        wait_until(lambda: turns._line)
        inference.submit(job(2))
        wait_until(lambda: done)
        assert [list(each.answers) for each in done] == [[2]], "a live camera's call waits for no reader"
    wait_until(lambda: len(done) == 2)
    wait_until(lambda: not turns._held)


def test_a_call_in_a_turn_computes_on_one_core_and_one_that_somebody_waits_for_on_all(started):
    done, cores = [], Cores(2)

    def predict(crops):
        with cores.take(2) as taken:
            return [taken] * len(crops)

    inference = started(predict, batch_size=2, done=done.extend, turns=Turns(2))

    for is_patient in (True, False):
        inference.submit(job(1, is_patient=is_patient))
        wait_until(lambda: done)
        assert [list(each.answers) for each in done] == [[1 if is_patient else 2]]
        done.clear()


def test_a_lone_crop_is_answered_when_it_is_due(started):
    done = []
    inference = started(batch_size=100, max_wait_s=0.05, done=done.extend)

    inference.submit(job(7))
    wait_until(lambda: done)

    assert inference.get_statistics()["closed_due"] == 1


def test_a_patient_job_waits_for_others_until_one_comes_that_is_not(started):
    done = []
    inference = started(batch_size=100, max_wait_s=2.0, done=done.extend)
    patient, hurried = job(1), job(2)
    patient.is_patient = True
    hurried.looked_at -= 1.95

    inference.submit(patient)
    inference.submit(hurried)
    wait_until(lambda: done)

    assert done == [patient, hurried]
    assert time.monotonic() - patient.looked_at < 2.0


def test_a_patient_job_is_answered_at_last(started):
    done = []
    inference = started(batch_size=100, max_wait_s=0.01, done=done.extend)
    patient = job(1)
    patient.is_patient = True

    inference.submit(patient)
    wait_until(lambda: done)

    assert time.monotonic() - patient.looked_at >= 0.1


def test_what_comes_while_the_model_is_busy_waits_for_it_and_leaves_together(started):
    sizes, may_go = [], threading.Event()

    def first_waits(crops):
        sizes.append(len(crops))
        if len(sizes) == 1:
            may_go.wait(10)
        return means(crops)

    inference = started(first_waits, batch_size=10, max_wait_s=0.0)
    inference.submit(job(1))
    wait_until(lambda: sizes)
    for value in range(5):
        inference.submit(job(value))
    may_go.set()

    wait_until(lambda: len(sizes) == 2)
    assert sizes == [1, 5]


def test_full_batches_run_side_by_side(started):
    both = threading.Barrier(2, timeout=10)

    def meets(crops):
        both.wait()
        return means(crops)

    done = []
    inference = started(meets, batch_size=2, done=done.extend)
    for value in range(4):
        inference.submit(job(value))

    wait_until(lambda: len(done) == 4)
    assert all(each.error is None for each in done)


def test_the_crops_of_a_frame_stay_together(started):
    sizes = []

    def counted(crops):
        sizes.append(len(crops))
        return means(crops)

    done = []
    inference = started(counted, batch_size=4, done=done.extend)
    for each in (job(1, 2, 3), job(4, 5), job(*range(9))):
        inference.submit(each)

    wait_until(lambda: len(done) == 3)
    assert sizes == [3, 2, 9]


def test_a_failing_call_fails_its_jobs_and_no_other(started):
    def picky(crops):
        if any(crop.mean() == 13 for crop in crops):
            raise RuntimeError("out of luck")
        return means(crops)

    done = []
    inference = started(picky, batch_size=1, done=done.extend)
    for value in (12, 13, 14):
        inference.submit(job(value))

    wait_until(lambda: len(done) == 3)
    assert {int(each.crops[0].mean()) for each in done if each.error} == {13}
    assert inference.get_statistics()["failed_items"] == 1


def test_too_few_answers_are_an_error(started):
    done = []
    inference = started(lambda crops: [], done=done.extend)

    inference.submit(job(1))
    wait_until(lambda: done)

    assert isinstance(done[0].error, BatchSizeMismatch)


def test_a_table_that_is_no_list_of_answers_is_an_error_and_the_next_call_is_answered(started):
    done, answers = [], iter([Table(rows=1), [7]])
    inference = started(lambda crops: next(answers), batch_size=1, calls=1, done=done.extend)

    for value in range(2):
        inference.submit(job(value))
    wait_until(lambda: len(done) == 2)

    assert isinstance(done[0].error, BatchSizeMismatch)
    assert list(done[1].answers) == [7]


def test_closing_answers_what_waits_and_takes_no_more(started):
    done = []
    inference = started(batch_size=100, max_wait_s=5.0, done=done.extend)
    inference.submit(job(1))

    assert inference.close(10)

    assert len(done) == 1
    with pytest.raises(RuntimeError, match="is being stopped"):
        inference.submit(job(2))


def test_one_that_was_never_started_can_be_closed():
    assert Inference(means, 1, 0.0, 1, lambda jobs: None).close(1)


def test_a_batch_of_none_is_refused():
    with pytest.raises(ConfigError, match="batch_size"):
        Inference(means, 0, 0.0, 1, lambda job: None)
