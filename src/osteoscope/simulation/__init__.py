"""Digital patients whose truth is known; everything made here is marked as simulated."""
