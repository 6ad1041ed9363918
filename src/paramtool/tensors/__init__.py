"""Live tensors and the elements of stored ones: everything here needs torch and no network.

    a module                a checkpoint's files
        ▼                       ▼
    named_tensors               strided, repeated     parts of a file to read, and how much that is
        ▼                       ▼
    elements      blocks of a tensor by its name, in bounded memory
        ▼
    statistics, measurement     mean, std, NaN, …, for one tensor and for a whole model
    equality, changed_values    which tensors are equal, and how far two are apart
    printed                     the elements of a small one

    streams       the random numbers of a block of a tensor, by seed and name
        ▼
    fills         what a constructor filled a tensor with, run again block by block

`nested_values` finds the tensors in arguments and outputs, `writes` says which of them a call writes.
`memory` has the bytes of a tensor, `scratch` room that is used again, `one_thread` keeps torch to one.
"""
