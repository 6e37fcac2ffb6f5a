"""SimpleITK under one name: its functions carry no types, so it is untyped as a whole."""

from __future__ import annotations

from typing import Any

import SimpleITK

sitk: Any = SimpleITK
