"""The numbers of the paper's tables, as printed."""
