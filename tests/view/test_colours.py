"""Events as colours."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retempo.view.colours import BACKGROUND, OFF, ON, event_image, fade, fade_plainly
from tests.builders import seeds


def test_a_lone_event_has_the_colour_of_its_polarity_and_the_rest_is_background() -> None:
    off, on = np.zeros((3, 4), int), np.zeros((3, 4), int)
    on[1, 2], off[2, 0] = 1, 1
    image = event_image(off, on)
    assert image.shape == (3, 4, 3)
    assert tuple(image[1, 2]) == ON
    assert tuple(image[2, 0]) == OFF
    others = [
        tuple(image[y, x]) for y in range(3) for x in range(4) if (y, x) not in {(1, 2), (2, 0)}
    ]
    assert set(others) == {BACKGROUND}


def test_more_events_shine_brighter_and_both_polarities_mix() -> None:
    off, on = np.zeros((1, 30), int), np.zeros((1, 30), int)
    on[0, 1:20], on[0, 20:29], off[0, 29] = 10, 1, 5
    on[0, 29] = 5
    image = event_image(off, on).astype(int)
    assert tuple(image[0, 1]) == ON
    assert image[0, 25].sum() < image[0, 1].sum()
    assert image[0, 25].sum() > image[0, 0].sum()
    assert tuple(image[0, 29]) == tuple((np.array(ON) + OFF + 1) // 2)


def test_an_image_without_events_is_background() -> None:
    assert (event_image(np.zeros((2, 2), int), np.zeros((2, 2), int)) == BACKGROUND).all()


@given(seeds, st.integers(1, 5_000), st.integers(0, 10_000))
def test_the_fading_kernel_agrees_with_numpy(seed: int, window_us: int, now_us: int) -> None:
    rng = np.random.default_rng(seed)
    last_us = rng.integers(0, 10_000, (5, 7))
    last_us[0] = np.iinfo(np.int64).min // 2
    last_on = rng.random((5, 7)) < 0.5
    colours = np.array([BACKGROUND, OFF, ON], float)
    ours, plain = np.zeros((5, 7, 3), np.uint8), np.zeros((5, 7, 3), np.uint8)
    fade(last_us, last_on, now_us, window_us, colours, 0.4, ours)
    fade_plainly(last_us, last_on, now_us, window_us, colours, 0.4, plain)
    assert np.abs(ours.astype(int) - plain).max() <= 1
    assert (ours[0] == BACKGROUND).all()
