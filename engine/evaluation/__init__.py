"""How good an answer is, on masks and frames that are the same for every method.

``metrics``          errors of maps, of samples, of bands
``reconstruction``   all methods of reconstruction on the same masks
``calibration``      band widths measured on frames that were not trained on
"""
