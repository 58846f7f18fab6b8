"""What can go wrong with keys and with who may connect."""

from retempo.runtime.errors import RunError


class SecurityError(RunError):
    """A key, an allow-list or an endpoint is refused."""
