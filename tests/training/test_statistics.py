"""The autocorrelation that a network keeps of its training recordings."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retempo.exporters.matching import HORIZON
from retempo.runtime.layout import geometry_of, layout_of
from retempo.training.batches import BinPlan
from retempo.training.datasets import Dataset
from retempo.training.statistics import correlation_of, input_correlation
from tests.builders import make_chunk, make_network, seeds


@given(seeds, st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_it_is_the_plain_sum_over_all_pairs_of_steps(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    currents = [rng.normal(size=(steps, 3)).cumsum(axis=0) for steps in lengths]
    together = np.concatenate(currents)
    if (together.std(axis=0) == 0.0).any():
        return
    scaled = [(c - together.mean(axis=0)) / together.std(axis=0) for c in currents]
    plain = [
        sum(float((c[: len(c) - lag] * c[lag:]).sum()) for c in scaled if lag < len(c))
        for lag in range(max(lengths))
    ]
    np.testing.assert_allclose(correlation_of(currents), np.array(plain) / plain[0], atol=1e-9)


def test_it_is_no_longer_than_the_horizon_and_begins_with_one() -> None:
    rng = np.random.default_rng(0)
    correlation = correlation_of([rng.normal(size=(3 * HORIZON, 2))])
    assert len(correlation) == HORIZON
    assert correlation[0] == 1.0


def test_a_current_that_never_varies_has_no_correlation_beyond_itself() -> None:
    assert correlation_of([np.ones((5, 2)), np.ones((7, 2))]).tolist() == [1.0]


def test_a_recording_without_an_event_says_nothing() -> None:
    network = make_network()
    spec = network.spec.input
    plan = BinPlan(layout_of(spec), 10_000)
    chunks = [make_chunk(3_000, 6, 5, 400_000), make_chunk(0, 6, 5, 1)]

    def correlation(count: int, begin: int = 0) -> list[float]:
        names, targets = ("r",) * count, (0,) * count
        return input_correlation(
            network,
            Dataset("drawn", geometry_of(spec), ("a",), names, targets, chunks[begin:].__getitem__),
            plan,
        )

    assert correlation(2) == correlation(1)
    assert correlation(1, begin=1) == [1.0]
