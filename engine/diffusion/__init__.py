"""Diffusion without a paper's networks: schedules, forward and reverse processes, samplers.

The models of :mod:`engine.models` bring a denoiser; this package brings the mathematics around it.

Notation, everywhere in here:

* ``x_0`` is clean data, ``x_t`` the same after ``t`` noising steps, ``eps`` standard normal noise.
* ``t_B`` counts steps from 1 to T (``Schedule.num_steps``), one per sample; index 0 of the
  schedule's arrays is "no noise", so that ``alpha_bars[t]`` is the paper's value at step t.
* ``time_B`` is the straight path's time in [0, 1]: 0 is data, 1 is noise.
* Shape suffixes: B samples; ``...`` any further axes (channels, rows, columns).

Equations and where they live. ``[DiffRecon]`` is arXiv 2410.05323, ``[DDPM]`` arXiv 2006.11239,
``[DDIM]`` arXiv 2010.02502, ``[RF]`` (rectified flow) arXiv 2209.03003:

DiffRecon (2)   forward.forward_step
DiffRecon (3)   forward.forward_chain
DiffRecon (4)   forward.diffuse
DiffRecon (5)   forward.marginal
DiffRecon (6)   reverse.reverse_step
DiffRecon (7)   reverse.sample_ancestral
DiffRecon (10)  parametrisation.x_0_from_eps
DDPM (6)        posterior.posterior_variance
DDPM (7)        posterior.posterior_mean
DDPM (11)       posterior.mean_from_eps
DDIM (12)       fewstep.implicit_step
RF (1)          fewstep.straight_path
"""
