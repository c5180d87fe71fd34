"""HimNet: forecasting with heterogeneity-informed meta-parameters.

[HimNet] Dong et al., "Heterogeneity-Informed Meta-Parameter Learning for Spatiotemporal Time
Series Forecasting", KDD 2024, arXiv 2405.10800. Source lines name the part of the paper that they
implement, in words and without an equation's number: the network was built from a description
of the paper, whose text was not at hand.

=============  ===========================================================================
``meta``       weights made from embeddings and pools, in three equal forms
``recurrent``  graph convolution and gated recurrent cell on such weights
``network``    the published network: two encoders, the joint decoder, scheduled sampling
``objective``  masked loss and the sampling schedule
``direct``     ours: a direct multi-horizon network with quantiles and a street-network term
``layers``     what ours is built of: layers on two graphs, a recurrent encoder
``blending``   several trainings, STID and HimNet averaged with it
``streets``    the street network as weights, with closed streets and silent sensors
=============  ===========================================================================

Shapes, here and in every module of the package::

    B samples      N sensors        T input steps     H forecast steps
    F features     D embedding      K inputs of a linear map           O its outputs
    C hidden       Q quantiles      M = B x N rows

A 1 in a suffix is an axis of that length, kept for broadcasting.
"""
