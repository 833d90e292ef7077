"""Lay a graph out: where each box, label and line of its picture is."""
