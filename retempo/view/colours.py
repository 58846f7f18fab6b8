"""The colours of events, and images made of them."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Told apart by those who do not see red and green, and by lightness on print.
BACKGROUND: Colour = (16, 20, 31)
ON: Colour = (255, 190, 92)
OFF: Colour = (72, 149, 239)
# A single event among many must still be seen.
_FAINTEST = 0.55
_FULL_AT = 0.95


def hexadecimal(colour: Colour) -> str:
    """Return `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def event_image(off: NDArray[np.integer], on: NDArray[np.integer]) -> Image:
    """Return accumulated events as an image: a pixel's hue is its share of on, its light how many.

    A pixel at the 95th percentile of those that fired shines in full, so that neither a single
    event of a sparse recording nor the crowd of a dense one is lost.

    Shapes: `off` and `on` `(height, width)`; `(height, width, 3)` out.
    """
    total = (off + on).astype(np.float64)
    fired = total > 0
    image = np.empty((*total.shape, 3), np.uint8)
    image[:] = BACKGROUND
    if not fired.any():
        return image
    full = max(1.0, float(np.quantile(total[fired], _FULL_AT)))
    light = _FAINTEST + (1.0 - _FAINTEST) * np.minimum(total[fired] / full, 1.0)
    if full == 1.0:
        light = np.ones_like(light)
    share = (on[fired] / total[fired])[:, None]
    hue = share * np.array(ON, float) + (1.0 - share) * np.array(OFF, float)
    ground = np.array(BACKGROUND, float)
    image[fired] = np.rint(ground + light[:, None] * (hue - ground)).astype(np.uint8)
    return image


@njit(cache=True, nogil=True)
def fade(
    last_us: NDArray[np.int64],
    last_on: NDArray[np.bool_],
    now_us: int,
    window_us: int,
    colours: NDArray[np.float64],
    faintest: float,
    image: Image,
) -> None:
    """Draw each pixel's last event, the fainter the older, and nothing once it is a window old.

    Shapes: `last_us`, `last_on` `(height, width)`; `colours` `(3, 3)`: background, off, on;
    `image` `(height, width, 3 or 4)`, written to.
    """
    for y in range(last_us.shape[0]):
        for x in range(last_us.shape[1]):
            age = now_us - last_us[y, x]
            which = 0
            light = 0.0
            # Beyond what 64 bits hold an age comes out below 0: a pixel that never fired.
            if 0 <= age < window_us:
                which = 2 if last_on[y, x] else 1
                light = 1.0 - (1.0 - faintest) * age / window_us
            for c in range(3):
                ground = colours[0, c]
                image[y, x, c] = np.uint8(ground + light * (colours[which, c] - ground) + 0.5)


def fade_plainly(
    last_us: NDArray[np.int64],
    last_on: NDArray[np.bool_],
    now_us: int,
    window_us: int,
    colours: NDArray[np.float64],
    faintest: float,
    image: Image,
) -> None:
    """Do what `fade` does, in NumPy."""
    age = now_us - last_us
    lit = (age >= 0) & (age < window_us)
    light = np.where(lit, 1.0 - (1.0 - faintest) * age / window_us, 0.0)[..., None]
    hue = np.where(last_on[..., None], colours[2], colours[1])
    image[..., :3] = (colours[0] + light * (hue - colours[0]) + 0.5).astype(np.uint8)
