"""Inputs that osteoscope must refuse: each a builder, the words of its sentence and its code."""
