"""Metrics for Prometheus: counted in shared memory, at a cost that a call does not notice, and read on a scrape."""
