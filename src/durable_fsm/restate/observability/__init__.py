"""Log records, spans and counters for operators, without the values that a chart redacts."""
