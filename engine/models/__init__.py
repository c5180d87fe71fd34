"""Networks and their baselines, each usable without the rest of the product.

``flows``        frames of a gridded count series, and the coarse maps that sensors would see
``fieldfiles``   reads research files of gridded flows into ``flows``
``similar_days`` days on which sensors showed much the same
``masks``        which coarse cells are missing: fixed, random, quarter, blocks, strokes
``conservation`` keeps observed totals exactly
``installed``    which weights are on this machine, told by their cards
``weights``      safetensors with a card beside them
``baselines``    what every model has to beat
``diffrecon``    from an incomplete coarse map to a complete fine one
"""
