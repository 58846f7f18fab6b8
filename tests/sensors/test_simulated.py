"""The simulated camera: physics that can be counted."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retempo.sensors.collect import read_all
from retempo.sensors.errors import SensorError
from retempo.sensors.events import EventChunk, Source
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.simulated import (
    CameraParameters,
    SimulatedCamera,
    digit_image,
    record,
    upscale,
)
from retempo.sensors.simulated.camera import saccade_path

QUIET = CameraParameters(background_rate_hz=0.0, threshold_mismatch=0.0)
DIGIT = digit_image(3)


def columns_of(chunk: EventChunk) -> list[list[Any]]:
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    return [chunk.t_us.tolist(), chunk.x.tolist(), chunk.y.tolist(), chunk.on.tolist()]


def test_the_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    first = columns_of(record(SimulatedCamera(DIGIT, seed=4)))
    assert columns_of(record(SimulatedCamera(DIGIT, seed=4))) == first
    assert columns_of(record(SimulatedCamera(DIGIT, seed=5))) != first


@pytest.mark.parametrize("digit", range(10))
def test_a_digit_gives_as_many_events_as_a_handwritten_one_before_a_real_sensor(digit: int) -> None:
    chunk = record(SimulatedCamera(digit_image(digit), seed=digit))
    assert 2_000 < len(chunk) < 5_500
    noise = record(SimulatedCamera(np.zeros((20, 20)), seed=digit))
    assert len(noise) < 0.12 * len(chunk)


@pytest.mark.parametrize("geometry", [GridGeometry(34, 34), GridGeometry(40, 25)])
def test_events_are_sorted_inside_the_grid_and_before_the_end(geometry: GridGeometry) -> None:
    chunk = record(SimulatedCamera(np.ones((60, 10)), geometry, seed=1))
    assert chunk.x is not None
    assert chunk.y is not None
    assert len(chunk) > 500
    assert (np.diff(chunk.t_us) >= 0).all()
    assert chunk.t_us[0] >= 0
    assert chunk.t_us[-1] < chunk.t_end_us == 300_000
    assert chunk.x.max() < geometry.width
    assert chunk.y.max() < geometry.height


def test_no_pixel_fires_within_its_refractory_time() -> None:
    known = CameraParameters(refractory_us=7_000, background_rate_hz=20.0)
    free = record(SimulatedCamera(DIGIT, parameters=replace(known, refractory_us=0)))
    chunk = record(SimulatedCamera(DIGIT, parameters=known))
    assert _shortest_pause_us(free) < 7_000 <= _shortest_pause_us(chunk)
    assert len(chunk) < len(free)


def _shortest_pause_us(chunk: EventChunk) -> int:
    assert chunk.x is not None
    assert chunk.y is not None
    pixel = chunk.x.astype(np.int64) * 1_000 + chunk.y
    order = np.lexsort((chunk.t_us, pixel))
    same = np.diff(pixel[order]) == 0
    return int(np.diff(chunk.t_us[order])[same].min())


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_view_without_contrast_gives_background_noise_alone_at_its_rate(value: float) -> None:
    # Larger than the view and its margins, so that no edge is in sight.
    blank = np.full((60, 60), value)
    known = CameraParameters(background_rate_hz=4.0, refractory_us=0)
    assert (
        len(record(SimulatedCamera(blank, parameters=replace(known, background_rate_hz=0.0)))) == 0
    )
    counts = [len(record(SimulatedCamera(blank, seed=s, parameters=known))) for s in range(10)]
    expected = 4.0 * 0.3 * 34 * 34
    # The mean of ten Poisson counts lies within five of its standard deviations.
    assert abs(np.mean(counts) - expected) < 5 * np.sqrt(expected / 10)
    chunk = record(SimulatedCamera(blank, seed=1, parameters=known))
    assert chunk.on is not None
    assert 0.4 < chunk.on.mean() < 0.6


def test_halved_thresholds_give_about_twice_the_events_and_more_contrast_gives_more() -> None:
    def events(contrast: float, threshold: float) -> int:
        known = replace(
            QUIET,
            contrast_threshold_on=threshold,
            contrast_threshold_off=threshold,
            refractory_us=0,
        )
        return len(record(SimulatedCamera(DIGIT * contrast, parameters=known)))

    # Somewhat more than twice: each turn of the contrast costs a pixel up to one threshold.
    assert 2.0 < events(1.0, 0.1) / events(1.0, 0.2) < 2.4
    assert events(0.25, 0.2) < events(0.5, 0.2) < events(1.0, 0.2)


def test_a_camera_that_stands_still_sees_nothing() -> None:
    still = SimulatedCamera(DIGIT, parameters=replace(QUIET, saccade_px=0.0))
    assert len(record(still)) == 0


def test_a_bright_bar_fires_on_ahead_of_its_movement_and_off_behind() -> None:
    bar = np.zeros((20, 20))
    bar[:, 8:12] = 1.0
    chunk = record(SimulatedCamera(bar, parameters=QUIET))
    assert chunk.x is not None
    assert chunk.on is not None
    # In the third saccade the camera goes left, so the bar goes right.
    third = chunk.t_us >= 200_000
    assert chunk.x[third & chunk.on].mean() > chunk.x[third & ~chunk.on].mean() + 3


def test_the_mismatch_spreads_the_thresholds_between_pixels() -> None:
    bar = np.zeros((34, 20))
    bar[:, 8:12] = 1.0
    even = record(SimulatedCamera(bar, parameters=QUIET))
    uneven = record(SimulatedCamera(bar, parameters=replace(QUIET, threshold_mismatch=0.4)))
    assert even.y is not None
    assert uneven.y is not None
    middle = slice(8, 26)
    assert np.bincount(uneven.y)[middle].std() > 1.5 * np.bincount(even.y)[middle].std()


def test_the_three_saccades_trace_a_triangle_and_rest_at_its_corners() -> None:
    x, y = saccade_path(CameraParameters(saccade_px=6.0))
    corners = [0, 100, 200, 300]
    assert x[corners].tolist() == [-3.0, 0.0, 3.0, -3.0]
    assert y[corners].tolist() == [-3.0, 3.0, -3.0, -3.0]
    speed = np.hypot(np.diff(x), np.diff(y))
    assert speed[[0, 99, 100, 199, 200, 299]].max() < 0.1 * speed.max()


def test_chunks_cover_the_whole_time_and_add_up_to_the_recording() -> None:
    camera = SimulatedCamera(DIGIT, seed=2, chunk_us=7_000)
    assert isinstance(camera, Source)
    chunks = list(camera)
    ends = [chunk.t_end_us for chunk in chunks]
    assert ends == [*range(7_000, 300_000, 7_000), 300_000]
    assert [chunk.sequence for chunk in chunks] == list(range(43))
    for before, chunk in zip([0, *ends[:-1]], chunks, strict=True):
        assert ((chunk.t_us >= before) & (chunk.t_us < chunk.t_end_us)).all()
    assert columns_of(read_all(camera)) == columns_of(record(camera))
    assert columns_of(read_all(camera)) == columns_of(read_all(replace(camera, chunk_us=300_001)))


def test_silence_is_told_by_chunks_without_events() -> None:
    chunks = list(SimulatedCamera(np.zeros((5, 5)), parameters=QUIET))
    assert [len(chunk) for chunk in chunks] == [0] * 30
    assert chunks[-1].t_end_us == 300_000


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("contrast_threshold_on", 0.0, "expected a finite number from 0.01 up"),
        ("contrast_threshold_off", float("nan"), "is nan, expected"),
        ("background_rate_hz", float("inf"), "is inf, expected"),
        ("duration_us", 0, "is 0, expected a finite number from 1 up"),
        ("refractory_us", -1, "is -1, expected a finite number from 0 up"),
        ("dark_intensity", 2.0, "is 2.0, expected from 0.001 to 1.0"),
    ],
)
def test_a_parameter_beyond_its_unit_is_refused(name: str, value: Any, words: str) -> None:
    with pytest.raises(SensorError, match=words):
        CameraParameters(**{name: value})


@pytest.mark.parametrize("image", [np.zeros(5), np.full((3, 3), 16.0), np.full((3, 3), np.nan)])
def test_an_image_that_is_no_grid_of_shares_is_refused(image: np.ndarray) -> None:
    with pytest.raises(SensorError, match=r"expected \(rows, columns\) of values from 0 to 1"):
        SimulatedCamera(image)


def test_a_chunk_of_no_time_is_refused() -> None:
    with pytest.raises(SensorError, match="chunk_us is 0, expected at least 1"):
        SimulatedCamera(DIGIT, chunk_us=0)


def test_upscaling_interpolates_between_pixel_centres() -> None:
    assert upscale(np.array([[0.0, 1.0]]), 4)[2].tolist() == [0.0, 0.25, 0.75, 1.0]
    image = np.random.default_rng(0).random((8, 8))
    assert np.allclose(upscale(image, 8), image)
    assert np.allclose(upscale(image.T, 20), upscale(image, 20).T)
    assert np.allclose(upscale(np.full((8, 8), 0.3), 20), 0.3)
    assert upscale(image, 20).min() >= image.min()
    assert upscale(image, 20).max() <= image.max()
    with pytest.raises(SensorError, match=r"shape \(0, 3\) and side 5"):
        upscale(np.zeros((0, 3)), 5)


def test_the_ten_digits_are_bright_strokes_that_differ() -> None:
    images = [digit_image(digit) for digit in range(10)]
    for image in images:
        assert image.shape == (20, 20)
        assert image.min() == 0.0
        assert image.max() == 1.0
        assert 0.05 < image.mean() < 0.35
        assert max(image[0].max(), image[-1].max(), image[:, 0].max(), image[:, -1].max()) < 0.6
    for a in range(10):
        for b in range(a):
            assert np.abs(images[a] - images[b]).mean() > 0.02
    with pytest.raises(SensorError, match="got the digit 10, expected 0 to 9"):
        digit_image(10)
    with pytest.raises(SensorError, match="side is 5"):
        digit_image(5, 5)
