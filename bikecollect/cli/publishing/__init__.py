"""Datasets that can be cited: tables, methods, checksums, certificates, licence."""
