"""The training loop: the schedule around `minigan.gan.train_step`, and the pictures that it leaves."""
