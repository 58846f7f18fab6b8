"""How many connections the process has file descriptors for."""

import resource

# Enough for every peer of both sockets, and for thousands that are cut before they are one.
_WANTED = 16_384


def raise_file_limit() -> int:
    """Raise the soft limit of open files as far as it is allowed; returns the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
