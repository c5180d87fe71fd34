"""What a trajectory model has to beat: three simple ways to trips, each given the same map.

``guided_walk``     a walk with momentum whose points are spread as the map says
``shortest_paths``  shortest paths between origins and destinations drawn from the map
``resampling``      training trips, weighted until their points are spread as the map says
"""
