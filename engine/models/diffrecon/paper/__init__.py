"""The paper's system: two conditional diffusions, one after the other. Source: arXiv 2410.05323.

Diffusion-C completes the coarse map, Diffusion-F infers the fine one from it. Each noise predictor
is a U-Net whose bottleneck is joined with an encoding of the sequence: ST-PointFormer for C,
T-PatternNet for F.

Shape legend: B frames, t maps of a sequence (the current one last), I x J coarse cells,
N magnification, d features (the paper's d_model), Z = t * I * J space-time points.

What the paper leaves open, and what is done here: square roots of counts, standardised by the
training days, are diffused; 50 steps, variances quadratic from 1e-4 to 0.5; the decoders give
velocities, of which the noise follows (see ``predictors.NoisePredictor``); the observed map and its
mask are further input channels of C's U-Net, the completed map of F's; joint training goes through
C's one-step estimate; earlier maps are completed by their history for F, since completing each of
them by diffusion would cost a hundred samplings per frame.

Equations and where they live; those of the diffusion itself are indexed in
:mod:`engine.diffusion`:

DiffRecon (1)   sequences.hide
DiffRecon (8)   unet.Encoder
DiffRecon (9)   unet.Decoder
DiffRecon (11)  predictors.intra_map_features
DiffRecon (12)  predictors.InterEncoder
DiffRecon (13)  predictors.NoisePredictor
DiffRecon (14)  st_pointformer.PointEmbedding
DiffRecon (15)  st_pointformer.project
DiffRecon (16)  st_pointformer.attention_scores
DiffRecon (17)  st_pointformer.attend
DiffRecon (18)  st_pointformer.MultiHeadAttention
DiffRecon (19)  st_pointformer.attend
DiffRecon (20)  st_pointformer.STPointFormer
DiffRecon (21)  st_pointformer.EncoderLayer
DiffRecon (22)  st_pointformer.feed_forward
DiffRecon (23)  st_pointformer.feed_forward
DiffRecon (24)  st_pointformer.stack_points
DiffRecon (25)  st_pointformer.stack_points
DiffRecon (26)  t_patternnet.SeriesEmbedding
DiffRecon (27)  t_patternnet.mean_amplitudes
DiffRecon (28)  t_patternnet.top_frequencies
DiffRecon (29)  t_patternnet.period_of
DiffRecon (30)  t_patternnet.fold
DiffRecon (31)  t_patternnet.InceptionBlock
DiffRecon (32)  t_patternnet.unfold
DiffRecon (33)  t_patternnet.period_weights
DiffRecon (34)  t_patternnet.TimesBlock
"""
