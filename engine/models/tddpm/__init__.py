"""Trajectories from an occupancy map: the paper's method and the one we would bet on.

``[TDDPM]`` is arXiv 2406.12423; its equations carry no numbers in what we know of it, so that
docstrings cite its parts by name. ``[RF]`` and ``[DDPM]`` are as in :mod:`engine.diffusion`.

From recorded points to training examples:

``preparation``  GPS points to trips at equal time steps
``tracks``       trips in flat arrays, on a plane in metres
``people``       who is held out; recordings that stand under several names
``frames``       square regions and their canonical frame
``pieces``       a region's map and pieces of trips in it
``drawing``      many of those, in one process or several
``clipping``     trips cut along the border of a rectangle
``conditions``   duration, hour, length, purpose, and which of them are known
``prior``        how long trips take and when they begin
``city_trips``   a small city's own trips: who is trained on, its plane and raster
``city_pieces``  examples of one region that holds a whole city, its maps varied

The network and its training target: ``blocks``, ``network``, ``objective``.

From a map to trips:

``occupancy``    a city's raster, its regions and p(r)
``edits``        a painted map carried over to the raster
``sampling``     pieces from noise
``plans``        how long, when, and in which region each trip is begun
``assembly``     pieces joined to whole trips
``settling``     trips moved a little to where the map says people are
``trip_ends``    where a map tells that trips begin and end
``closed_loop``  generated occupancy brought to the map; places that no trip may enter
``fences``       closed streets as such places
``generation``   all of it as a stream
``whatif``       a painted map as a job

``paper``        the paper's joint encoder with DDPM, its pieces as trips
``task``         what the training loop needs; ``checkpoint`` models on disk; ``exchange`` with the
                 trajectories of a city
"""
