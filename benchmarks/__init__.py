"""How fast the mesh is, beside its peers and bare sockets, with real processes on this machine, and
what a quiet one costs.

``python -m benchmarks`` runs all parts, ``python -m benchmarks oneway query`` some of them. Nothing
here fails because something was slow: the figures are for people, who compare ratios of one run.
"""
