"""What can go wrong between events and a picture of them."""


class ViewError(Exception):
    """A picture cannot be drawn or written; its text is one line that a user can act on."""
