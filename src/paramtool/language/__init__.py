"""The language of specs: from the text of a model.yaml to plain data.  Nothing that it names is run.

    text           the file, read up to a limit
        ▼
    yaml_reader    YAML events, bounded, to `nodes` with places; `overrides` sets values in them (--set)
        ▼
    document       the top-level keys, every error in one run: the Spec
        ├─ modules        ``model`` and ``define``: names, constructs, anchors
        │     classes       … torch.nn's classes, containers included
        │     tensors       … Parameter, Buffer, Tensor and ``input``
        │     tree_size     … how many modules that makes
        ├─ rules          ``init``
        └─ expectations   ``expect``
        ▼
    tree           the model as data, one class for each kind of node; `network` builds it

What a node must be is a type: `notation` writes types, `signature` names arguments, `arguments` matches
them, `values` converts them.  `catalog` has torch's signatures, `limits` the bounds, `json_schema` the
schema for editors.  `option_values` and `option_inputs` read what is typed in options as a spec has it;
`dtype_words` knows ``bf16``.  `python_object` is ``file.py:object``, `python_source` what a file defines.
"""
