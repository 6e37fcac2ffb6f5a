"""``osteoscope tscore``: prepare, split, train, evaluate, predict, tables, export."""
