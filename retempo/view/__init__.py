"""Events as pictures: in the terminal, as a PNG, as an MP4."""
