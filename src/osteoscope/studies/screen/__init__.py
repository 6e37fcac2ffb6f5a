"""Screen a CT: from a scan and a segmentation to a bone-health report."""
