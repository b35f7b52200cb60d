"""Nearest neighbours by codes: ``CliqueIndex``, and the engines that search a collection."""
