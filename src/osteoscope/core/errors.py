"""The one small tree of errors that osteoscope raises on purpose.

Each message names the rule, the value met and what to do, and holds no patient identifier.
"""


class OsteoscopeError(Exception):
    """Base of every error raised on purpose; the command line prints it as one sentence."""


class InputError(OsteoscopeError):
    """A file, table or option cannot be used as given."""


class GeometryError(OsteoscopeError):
    """Positions, spacing or orientation of an image cannot be trusted or do not fit together."""


class QualityError(OsteoscopeError):
    """A measurement cannot be made to the stated quality."""


class ModelError(OsteoscopeError):
    """A model, its weights or its program is missing or does not fit."""
