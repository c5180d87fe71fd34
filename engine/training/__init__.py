"""One training loop for all models.

``loop``             optimiser, EMA, clipping, validation, early stopping, several devices
``checkpoints``      resumable, atomic, without pickle
``reconstruction``   what the loop needs to know to train DiffRecon
"""
