"""Measurements: calibration of the statistics, and speed beside the peers."""
