"""The only place that knows file formats: scans, labels, tables and DICOM objects."""
