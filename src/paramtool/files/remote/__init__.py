"""Checkpoints at a URL, read by range requests: never more of a file than the question needs.

```
 address: what a person typed ─▶ remote_checkpoint ─▶ the readers of files/reading, by their OpenFile
                                   │          ▲
                                   ▼          │ bytes at positions
            repository (hf://)   remote_file ─┘
                                   │
                      ┌────────────┴─────────────┐
               range_request (https)      object_store (s3://, gs://)
                      │
                  redirection: where a server may lead
```

A URL is only ever what a person typed as MODEL or --weights; no spec, index or snapshot leads to one.
"""
