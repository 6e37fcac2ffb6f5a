"""T-score class from a crop of a vertebra: the MedConv study."""
