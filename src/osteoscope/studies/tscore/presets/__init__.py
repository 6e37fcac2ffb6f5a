"""Recipes of training, as TOML files."""
