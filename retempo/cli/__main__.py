"""`python -m retempo.cli` is `retempo`."""

from retempo.cli import main

main()
