"""timm, imported without the warning that its own use of torch's older compiler brings.

Imported before anything else here imports timm. The warning is about timm's code, and says nothing
that a user of this package could act on.
"""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", FutureWarning)
    warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
    import timm

__all__ = ["timm"]
