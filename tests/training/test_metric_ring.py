"""The ring in which losses wait on the device until many of them are read at once."""

import numpy as np
from device_double import COUNTER

from minigan.training.trainer import MetricRing


def test_metric_ring_reads_once_in_fifty_steps(double):
    ring = MetricRing(double)
    full = [ring.append(step, double.asarray(np.full(6, step, np.float32))) for step in range(50)]
    assert full == [False] * 49 + [True]
    assert COUNTER.syncs == 0
    rows = ring.read()
    assert COUNTER.syncs == 1
    assert [step for step, _ in rows] == list(range(50))
    assert rows[7][1] == [7.0] * 6
    assert ring.read() == []
