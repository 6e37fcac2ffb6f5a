"""timm is imported by the package, which knows its warnings, before a test imports it."""

import osteoscope.models  # noqa: F401
