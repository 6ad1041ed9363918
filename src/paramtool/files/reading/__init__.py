"""Reading checkpoints that others wrote: strictly, without torch, and without running anything.

```
 safetensors ─ safetensors_header            sharded ─ json_document, text
     │                                          │
     ▼                                          ▼
 checkpoint: named tensors, and where their elements are
     ▲
 pickled_file ── torch_archive (zip_directory, torch_script) │ torch_legacy
     │               ▼
     │           pickle_machine ─ pickle_opcodes ─ pickle_stack ─ pickle_bytes
     │               ▼
     │           pickled_values: what stands for values (pickled_calls, pickled_tensors,
     │           pickled_storages, pickled_arrays, pickled_globals)
     ▼
 state_dict: which of it is meant (pickled_tree, pickled_modules); stored_tensors; contents

 verification: checksums of any checkpoint, or sizes (safetensors_check, zip_directory)
 snapshot ─ snapshot_fields, snapshot_origin: the JSON of inspect, read back
```
"""
