"""Running an exported model in the base install: session, classes, guard, saliency. No torch."""
