"""What batches cost and gain, measured."""

import pytest

from toolkit.notebook.batching import latency_by_batch, try_batches


def test_a_model_that_fails_is_told_and_not_measured():
    def fail(items):
        raise MemoryError("too many at once")

    with pytest.raises(MemoryError, match="too many"):
        try_batches(fail, rate_per_s=1000, batch_sizes=[4], waits_s=[0.01], seconds=0.02)


def test_no_sizes_to_try_give_an_empty_table_and_an_empty_picture():
    tried = try_batches(list, rate_per_s=1000, batch_sizes=[], waits_s=[0.01])

    [axes] = latency_by_batch(tried).axes

    assert list(tried.columns) == ["batch_size", "wait_ms", "mean_batch", "items_per_s", "p50_ms", "p99_ms"]
    assert (len(tried), len(axes.lines)) == (0, 0)
