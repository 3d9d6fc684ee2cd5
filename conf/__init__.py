"""The configuration files of snnrun, installed as the package `snnrun.conf`."""
