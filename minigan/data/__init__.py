"""The images that a run trains on: drawn by minigan itself (`drawn`), or read from a user's folder (`images`).

`open` opens either of them as an `image_set.ImageSet`, by way of a `cache`. `prepare` turns a folder or an archive of
drawings into a folder to train on, and `folder_survey` says what training would see of a folder.
"""
