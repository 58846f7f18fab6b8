"""What can go wrong between labelled recordings and a trained network."""


class TrainingError(Exception):
    """Base of every error of this room; its text is one line that a user can act on."""


class DatasetError(TrainingError):
    """Labelled recordings are missing, mislabelled or do not fit together."""


class DivergedError(TrainingError):
    """A training has left the finite numbers."""
