"""Remember and drive: the journal, internal storage, intake, execution and the command line."""
