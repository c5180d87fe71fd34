"""Citybrush's engine: what-if questions to a city, answered with their uncertainty.

Usable as a library (``from engine import api``) and by ``python -m engine``; knows nothing of the
web pages. A map of the house, from the door to the cellar; each floor uses only those below it:

=================  ====================================================================
``cli``            the command line, one module an area
``api``            the use cases; the only module that composes the others
``scenarios``      answers as files: CSV, GeoParquet, NetCDF
``simulation``     SUMO: demand, runs, interventions; the truth of a what-if
``render``         arrays -> ``pydeck.Deck`` and ``plotly.Figure``; returns, never shows
``training``       one loop for all models
``evaluation``     metrics, masks, same-mask benchmarks
``models``         the networks and their baselines
``diffusion``      schedules, processes, samplers
``cities``         a city on disk: reading, writing, checking, the registry
``compute``        jobs on dask.distributed: progress, cancellation, quotas
``geo``            grids, H3, projections; the only place that swaps lat/lon
``domain``         frozen, self-validating types
``errors``         everything a user can do wrong
=================  ====================================================================
"""

__version__ = "0.1.0"
