"""Frozen records in one Report: what every operation returns and every renderer takes."""
