"""Results as figures, pages and files; nothing is computed here."""
