"""Run by the launcher in each process: 20 steps of a small training, losses to a file."""

import json
import sys
from pathlib import Path

import torch

from engine.training.loop import Trainer, TrainingConfig
from tests.engine.training.small_task import small_task

if __name__ == "__main__":
    torch.set_num_threads(1)
    config = TrainingConfig(steps=20, batch_size=8, validate_every=99, half=False, warmup_steps=2)
    trainer = Trainer(small_task(dropout=0.0), config)
    losses = [state.loss for state in trainer.run()]
    if trainer.accelerator.is_main_process:
        ranks = trainer.accelerator.num_processes
        Path(sys.argv[1]).write_text(json.dumps({"losses": losses, "ranks": ranks}))
