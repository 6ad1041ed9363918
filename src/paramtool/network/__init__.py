"""Networks: from a spec or an object of Python to an ``nn.Module``, and what a module has.

    language.document.Spec           models.python_object.PythonObject
        ▼                                ▼
    construction                     python_object      structure, sketch or values
        │                            python_import    … from its file or by its name
        ├─ builder                the tree of the spec, node by node
        │     spec_tensors          … its tensors, and the inputs of the model
        │     residual              … the one module that torch lacks
        ├─ lazy_modules           one pass gives them their shapes
        └─ parameter_statements   ties and frozen parameters
        ▼
    an ``nn.Module``
        ├─ listing, layout        its rows, and where its tensors are in memory
        ├─ strict_load            a checkpoint loaded into it
        ├─ load_answer            what torch says of loading a state_dict into it
        ├─ members                what torch cannot walk, and what it does not see
        └─ nesting                how deep its modules go

`meta_device` builds without memory, `free_memory` says what does not fit.  `fill_record` keeps what
constructors would draw: `filling_calls` says which calls do so by a law, `storage_record` what else has
reached the memory.  `signatures` reads torch's own signatures for the catalogue.
"""
