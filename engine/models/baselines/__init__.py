"""What every model has to beat, on the same observations.

``profile``          the mean day of the training data
``historical``       historical mean, and historical share: the strong one
``interpolation``    nearest fill with even spread, bicubic
``urbanfm``          a published network for super-resolution, after nearest fill
"""
