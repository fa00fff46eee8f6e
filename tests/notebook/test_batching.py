"""What batches cost and gain, measured."""

import pytest

from toolkit.notebook.batching import try_batches


def test_a_model_that_fails_is_told_and_not_measured():
    def fail(items):
        raise MemoryError("too many at once")

    with pytest.raises(MemoryError, match="too many"):
        try_batches(fail, rate_per_s=1000, batch_sizes=[4], waits_s=[0.01], seconds=0.02)
