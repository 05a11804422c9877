"""What crosses borders: the resource, records, names and errors. Imports pydantic and the standard library, nothing else."""
