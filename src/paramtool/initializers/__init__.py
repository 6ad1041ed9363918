"""The built-in initializers, offered as entry points like those of any plugin."""
