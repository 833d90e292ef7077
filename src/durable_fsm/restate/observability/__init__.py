"""What operators see of machines: log records, spans and counters, without what a chart redacts."""
