"""Three-dimensional counterparts of the leaves of timm's networks, under timm's parameter names."""
