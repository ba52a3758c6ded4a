"""Where images come from: drawn by minigan itself (`drawn`) or read from a user's folder (`images`).

`open` opens either as an `image_set.ImageSet`; `prepare` makes a folder to train on from pictures in the wild.
"""
