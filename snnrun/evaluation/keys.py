"""The keys that may change when a trained network is judged again. Imports nothing, for help and completion."""

COMPUTING = ("device", "engine", "training.batch_size", "network.readout")
OWN = ("part", "checkpoint", "seed", "output_dir")  # of the verb itself
SPLIT = ("validation", "validation_fraction", "validation_speakers", "fold", "folds", "split_seed")  # of `dataset`
