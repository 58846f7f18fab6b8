"""When a model is tried; apart, since a configuration is read before any library is loaded."""

from typing import Literal

# `new` tries what has not passed before, and `always` everything.
When = Literal["new", "always", "off"]
