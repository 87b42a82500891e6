"""The language users write: settings, flow model and expressions. Pure: no I/O beyond reading a file, no event loop."""
