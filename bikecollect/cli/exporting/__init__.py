"""The output of `export` other than tables: a workbook, a description of files."""
