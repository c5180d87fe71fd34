"""The reconstruction system that the product uses.

What history already knows is not learnt again: a mean network starts from the historical share,
multiplies the completion of missing coarse cells by a factor, and adds to the log-shares within
each coarse cell before a softmax, so that totals are kept by construction. What stays uncertain is
diffused: the difference of square roots between a fine map and that mean, along the straight path
of :mod:`engine.diffusion`, with every estimate projected onto the observed totals.

One evaluation gives the best map, a handful more give samples of it.

``config``      sizes and switches
``condition``   observations and history as tensors
``points``      attention over all space-time points without quadratic memory
``networks``    the mean network and the residual denoiser
``objective``   what training minimises
``system``      from observations to maps, samples and bands
``bands``       calibrated lower and upper maps

Shape legend: B frames, K smoothing scales of history, L earlier frames, I x J coarse cells,
P = I * J, N magnification, Q = N * N fine cells in a coarse one, R x C fine cells, D features.

Differs from paper: the paper diffuses both maps from pure noise, with the noise as target.
Counts differ from history by little, so that most of a diffusion from noise relearns the mean day,
and a table of averages beats it.
"""
