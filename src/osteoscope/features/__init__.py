"""What networks and radiomics see of a scan: crops, intensity windows, features. NumPy only."""
