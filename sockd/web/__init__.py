"""The ledger over HTTP: the stats endpoint. Imported only where ``[stats]`` is configured."""
