"""Contracts that every layer shares: grids, volumes, labels, measurements, flags, errors."""
