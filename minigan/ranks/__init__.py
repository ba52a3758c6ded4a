"""Ranks: one training program on several processes, each with its own share of every batch.

A *rank* is one of these processes, numbered from 0; rank 0 is the command's own process. All ranks run the same program
on different images and meet some 50 times a step to exchange what concerns the whole batch. `interface` says which
exchanges there are; `alone`, `local` (the cores of one machine) and `mpi` (several machines) perform them; `division`
divides a GAN's optimizers among the ranks.
"""
