"""The values of tensors, as blocks of NumPy arrays, and computations on them.  No torch.

```
files, pieces, strided ─┐ blocks of a checkpoint's files
tensors.TensorElements ─┤ blocks of live tensors
                        ▼
              elements.Elements: blocks, outline, dtype
                        ▼
   dtypes, eight_bits, casts, cast_losses: what the bits of a block mean
                        ▼
   moments, statistics, measurement · changed_values · changed_spectra, spectrum · digests, equality
   tensor_text
```
A block is a flat array in row-major order.  Where NumPy lacks torch's dtype, it holds the bits.
"""
