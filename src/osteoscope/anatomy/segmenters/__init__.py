"""Ways to label the bones of a scan: from a file, or by a program that runs a network."""
