"""Quality flags: facts of a scan and its labels in, findings with evidence out."""
