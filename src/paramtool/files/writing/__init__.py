"""The door for files that are written: each is there whole, or what was there before is.  No torch.

    weights              the writer: tensors in pieces, a file or a folder
    ├── containers       … in which format
    ├── digests          … read back and compared: fingerprint, joined_checksums
    ├── shard_folder     a folder that is replaced as a whole
    │   └── part_folder  … written by several processes: part, part_locks, staged_file
    └── replacement      one file that is replaced in one step
        └── destination  … where it goes, and what may not be replaced
    endings              what the name of a file promises

Each file calls those under it.
"""
