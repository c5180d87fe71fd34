"""How good an answer is, on masks and frames that are the same for every method.

``metrics``          errors of maps, of samples, of bands
``reconstruction``   all methods of reconstruction on the same masks
``plots``            benchmark figures as a picture
``sampling``         how fast samples are, and what speed costs in accuracy
``calibration``      band widths measured on frames that were not trained on
"""
