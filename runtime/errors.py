"""What can go wrong where a step meets a stream."""


class RunError(Exception):
    """Base of every error of this room; its text is one line that a user can act on."""


class ConfigError(RunError):
    """A configuration or a command line value is malformed."""


class EngineError(RunError):
    """An engine cannot load or step a model as asked."""


class InputError(RunError):
    """A stream does not fit the model that shall decide it."""


class FeedError(RunError):
    """An endpoint cannot be bound or reached, or the peer refused."""


class CounterError(RunError):
    """Events went missing without being counted: a fault of Retempo's own."""


class ModelError(RunError):
    """A model may not go live; `kind` says in one word why, see `runtime.trial.KINDS`."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind
