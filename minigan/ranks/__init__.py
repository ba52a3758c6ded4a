"""Ranks: one training program on several processes, each with its own share of every batch.

A *rank* is one of these processes, numbered from 0; rank 0 is the command's own process. All ranks run the same program
on different images and meet 35 times a step to exchange what concerns the whole batch. `interface` says which
exchanges there are; `local` (the cores of one machine) and `mpi` (several machines) perform them. `batch_share` and
`adam` divide batches and updates among the ranks; `minigan.gan.division` divides a whole GAN. `program` runs a function
of your own on ranks. docs/scaling.md tells the whole.
"""
