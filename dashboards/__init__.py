"""The Grafana boards: builders, the four boards, and the JSON that they write beside this file.

Nothing here is part of the exporter; it knows of it only the names in its catalogue and its list of metrics.
"""
