"""The doors of ruasr_tel: one package per protocol, found by entry point `ruasr_tel.adapters`."""
