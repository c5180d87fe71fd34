"""SUMO: demand, runs, interventions, and what they yield as fields and trajectories.

The map of the package, from the ground up:

* :mod:`~engine.simulation.network` finds SUMO, cleans and reads street networks;
  :mod:`~engine.simulation.streets` groups their edges into streets.
* :mod:`~engine.simulation.model` is all that a day needs to know of a city, kept in its folder;
  :mod:`~engine.simulation.construction` makes it from :mod:`~engine.simulation.adlershof`'s tables.
* :mod:`~engine.simulation.calendar`, :mod:`~engine.simulation.weather` and
  :mod:`~engine.simulation.events` say what kind of day it is;
  :mod:`~engine.simulation.tours` and :mod:`~engine.simulation.demand` draw its trips;
  :mod:`~engine.simulation.interventions` applies edits to them.
* :mod:`~engine.simulation.inputs` writes SUMO's files, :mod:`~engine.simulation.process` runs it
  as a child, :mod:`~engine.simulation.outputs` reads what it wrote.
* :mod:`~engine.simulation.day` puts these together: :func:`simulate_day`;
  :mod:`~engine.simulation.whatif` compares a day with and without edits: :func:`simulate_what_if`.
* :mod:`~engine.simulation.assignment` answers within seconds where traffic goes instead, from
  what :mod:`~engine.simulation.habits` observed on a simulated day and
  :mod:`~engine.simulation.weighing` made of it.
* :mod:`~engine.simulation.production`, :mod:`~engine.simulation.catalogue`,
  :mod:`~engine.simulation.basemap`, :mod:`~engine.simulation.geography`,
  :mod:`~engine.simulation.assembly` and
  :mod:`~engine.simulation.building` make the embedded city; :mod:`~engine.simulation.figures`
  and :mod:`~engine.simulation.facts` show what came out;
  :mod:`~engine.simulation.family` makes random cities to train trajectory models on, from
  :mod:`~engine.simulation.family_streets`;
  :mod:`~engine.simulation.measuring` times it all.

The two functions and :func:`load_model` are what the rest of the engine uses::

    model = load_model(city_folder)
    for step in simulate_what_if(model, date(2025, 5, 15), (CloseStreets(("newtonstrasse-3",)),),
                                 hours=(7, 9), should_cancel=cancelled):
        if isinstance(step, Progress):
            show(step.share, step.message)
    answer = step                      # a WhatIf: answer.untouched, answer.edited
"""

from engine.simulation.day import Progress, SimulatedDay, Summary, simulate_day
from engine.simulation.model import TrafficModel, load_model
from engine.simulation.outputs import Tracks
from engine.simulation.whatif import StreetChange, WhatIf, simulate_what_if

__all__ = [
    "Progress",
    "SimulatedDay",
    "StreetChange",
    "Summary",
    "Tracks",
    "TrafficModel",
    "WhatIf",
    "load_model",
    "simulate_day",
    "simulate_what_if",
]
"""The public names; everything else is for the package itself and its command line."""
