"""One module a framework: how a model of it is read, asked and converted. They run in the conversion process alone."""
