"""What every program needs: one-line errors, command lines, printing, whole files, locks, and Ctrl-C."""
