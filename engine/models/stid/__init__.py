"""STID: a plain perceptron told which sensor, which time and which day it is looking at.

[STID] Shao et al., "Spatial-Temporal Identity: A Simple yet Effective Baseline for Multivariate
Time Series Forecasting", CIKM 2022, arXiv 2208.05233. The fast baseline of the next hour, and
its instant preview.

Shapes: B samples, N sensors, T input steps, H forecast steps, C hidden.
"""
