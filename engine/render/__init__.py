"""Arrays -> ``pydeck.Deck`` and ``plotly.Figure``. Functions here return, they never show."""
