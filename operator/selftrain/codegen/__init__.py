"""Writes every generated file: the CRD, the chart's copy of it, the API reference and the table of reasons."""
