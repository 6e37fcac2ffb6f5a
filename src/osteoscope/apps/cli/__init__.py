"""The command line: one file a command, and the entry that turns errors into one sentence."""
