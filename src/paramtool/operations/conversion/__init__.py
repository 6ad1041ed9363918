"""Reshape checkpoints without their model: select, rename, cast, tie, merge and shard.  No torch.

```
 sources     checkpoints → items, one per name; equal names of several sources
     ▼
 rules       what is typed: Select, Rename, StripPrefix, Cast, Untie, Tie, in order
     ▼
 plan        what is stored under which name, what is tied to it, what is left out
     ▼
 container   the format by the path · metadata of every file
     ▼
 tasks       what one thread converts at a time
 execution   read, cast and write block by block; read back; the report
```
"""
