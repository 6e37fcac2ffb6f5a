"""Running an exported model in the base install: ONNX session, decoding, guard, saliency. No torch."""
