"""From an incomplete coarse map to a complete fine one. Source: arXiv 2410.05323.

``ours``    the system that the product uses
``paper``   the paper's system, with switches for its ablations
"""
