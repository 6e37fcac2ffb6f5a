"""Thin compositions of the layers below, one folder a study; none imports another."""
