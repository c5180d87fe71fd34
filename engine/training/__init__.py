"""One training loop for all models.

``loop``             optimiser, EMA, clipping, validation, early stopping, several devices
``checkpoints``      resumable, atomic, without pickle
``recipes``          how reconstruction weights are trained, as TOML
``cards``            what is known of freshly trained weights
``reconstruction``   what the loop needs to know to train our system
``paper``            the same for the paper's
``urbanfm``          the same for the UrbanFM baseline
"""
