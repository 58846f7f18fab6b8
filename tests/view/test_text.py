"""Pictures made of characters."""

import numpy as np

from retempo.view.text import ASCII_BARS, dot_picture, sparkline


def test_the_highest_bar_is_the_largest_value_and_silence_is_blank() -> None:
    assert sparkline(np.array([8.0, 4.0, 1.0, 0.0]), 10) == "█▄▁ "
    assert sparkline(np.array([8.0, 4.0, 1.0, 0.0]), 10, ASCII_BARS) == "#-_ "
    assert sparkline(np.array([]), 10) == ""
    assert sparkline(np.zeros(3), 10) == "   "


def test_a_sparkline_fits_its_width_and_adds_what_it_joins() -> None:
    values = np.zeros(100)
    values[75:] = 1.0
    assert sparkline(values, 8) == "      ██"
    assert len(sparkline(np.ones(4_096), 63)) == 63


def dots(lines: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """The dots of Braille characters, told from the Unicode table: 1-3, 7 left, 4-6, 8 right."""
    bits = [[0, 3], [1, 4], [2, 5], [6, 7]]
    picture = np.zeros((4 * len(lines), 2 * len(lines[0])), bool)
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            for dy in range(4):
                for dx in range(2):
                    lit = (ord(character) - 0x2800) >> bits[dy][dx] & 1
                    picture[4 * row + dy, 2 * column + dx] = bool(lit)
    return picture


def test_dots_lie_where_the_events_do() -> None:
    counts = np.zeros((32, 64), int)
    counts[8:16, 48:] = 5
    picture = dots(dot_picture(counts, 32, 8))
    assert picture.shape == (32, 64)
    assert picture[8:16, 48:].all()
    assert picture.sum() == 8 * 16


def test_the_picture_keeps_the_shape_of_the_sensor_and_fits() -> None:
    for height, width in ((720, 1280), (34, 34), (1, 500), (500, 1), (3, 2), (240, 304)):
        lines = dot_picture(np.ones((height, width), int), 48, 8)
        assert 1 <= len(lines) <= 8
        assert 1 <= len(lines[0]) <= 48
    lines = dot_picture(np.ones((100, 100), int), 48, 8)
    assert (len(lines), len(lines[0])) == (8, 16)


def test_one_hot_pixel_leaves_the_rest_to_be_seen() -> None:
    counts = np.zeros((32, 64), int)
    counts[8:16, 48:] = 5
    counts[0, 0] = 1_000_000
    picture = dots(dot_picture(counts, 32, 8))
    assert picture[8:16, 48:].all()
