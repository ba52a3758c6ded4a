"""What every program needs, whatever it computes. Nothing here imports another part of minigan.

* `errors`: a user's mistake, reported in one line.
* `cli`: the command line of all commands.
* `console`: printing that never ends a run.
* `progress`: the progress bar of all commands.
* `environment`: variables that are meant for other programs.
* `atomic_files`: files that are written completely or not at all.
* `file_kinds`: what a file is that is not what its name says.
* `lock`: one process at a time writes to a run folder.
* `interrupts`: Ctrl-C while a command is still being imported.
"""
