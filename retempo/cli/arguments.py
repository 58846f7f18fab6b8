"""Options that take several values in a row: `--dt 10ms 5ms 1ms`."""

from collections.abc import Sequence

_SEVERAL = {
    "evaluate": ("--dt", "--method", "--unlabelled"),
    "export": ("--unlabelled",),
}


def spread(arguments: Sequence[str]) -> list[str]:
    """Repeat an option before each of its values, as the option parser wants them.

    `evaluate RUN --dt 10ms 5ms` becomes `evaluate RUN --dt 10ms --dt 5ms`; the values end at the
    next option.
    """
    command = next((word for word in arguments if not word.startswith("-")), "")
    several = _SEVERAL.get(command, ())
    out: list[str] = []
    option, values = "", 0
    for word in arguments:
        if word.startswith("-"):
            option, values = (word, 0) if word in several else ("", 0)
        elif option:
            values += 1
            if values > 1:
                out.append(option)
        out.append(word)
    return out
