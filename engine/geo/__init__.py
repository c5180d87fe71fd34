"""Geography: grids, projections, hexagons, geometries. Only here are lat and lon swapped."""
