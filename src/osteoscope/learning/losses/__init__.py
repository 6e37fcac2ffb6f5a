"""What training minimises: class losses for long tails, ordinal losses, T-score regression."""
