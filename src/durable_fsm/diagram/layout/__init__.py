"""Lay a graph out: where each box, label and line of its picture is.

`assembly.lay_out` runs these steps for each scope (the inside of a compound state or of the chart), inner ones first:

1. `plan` decides which lines belong to which scope: an edge is cut where it crosses the border of a state.
2. `sizes` measures boxes and labels, by the widths of their texts.
3. `graphviz_layout` has Graphviz (`engine`) place the boxes, labels and ports of the scope in ranks. `rows` wraps a
   rank that is too wide for a page.
4. `straighten` moves boxes and labels a little, so that more lines are straight.
5. `route` draws the lines; those that go sideways between two ranks get their `lanes`.
6. `assembly` sees the laid-out scope as one box of its parent, and in the end moves everything to its final place.

`geometry` has the points, rectangles and paths that all steps use.
"""
