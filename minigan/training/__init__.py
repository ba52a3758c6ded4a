"""The training loop around `minigan.gan.train_step`, and the images that it writes."""
