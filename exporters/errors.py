"""What can go wrong between a trained network and its step."""


class ExportError(Exception):
    """Base of every error of this room; its text is one line that a user can act on."""


class NetworkError(ExportError):
    """A network description or its checkpoint is incomplete or inconsistent."""


class AdaptationError(ExportError):
    """A network cannot be moved to the resolution asked for by the method asked for."""


class UnfitError(AdaptationError):
    """A method that exists does not fit this ratio or this network; another one may."""


class ContractError(ExportError):
    """A model file carries no time contract, or one that its graph does not keep."""


class ManifestError(ExportError):
    """A model's bytes are not those of its manifest, or the manifest is missing or damaged."""


class OperatorError(ExportError):
    """A model file holds what no exporter of Retempo writes."""
